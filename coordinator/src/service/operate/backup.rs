//! The whole of a coordinator in one file: the record, the repositories, the logs, the keys.
//!
//! A tar archive. Its first entry says what it is (`manifest.json`); the record follows as JSON, one
//! entity on a line, the same for both databases.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sprint_core::act::Act;
use sprint_core::event::{Event, EventKind, NewEvent, Seq};
use sprint_core::ids::RepoName;
use sprint_core::lfs::LfsOid;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::time::Timestamp;
use tar::{Archive, Builder, EntryType, Header};
use tokio_util::io::ReaderStream;

use crate::git::Refs;
use crate::identity::seal::KEY_FILE;
use crate::service::admission::access::local_admin;
use crate::service::watch::{Values, stream};
use crate::service::{Coordinator, EventFilter, ServiceError, now};
use crate::store::Everything;

/// The form of the archive; another one is refused.
const FORMAT: u32 = 1;

/// Events in one entry of the archive.
const EVENTS: u32 = 500;

/// The number of tries to find a moment in which no branch moves.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);

/// What the archive says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    pub version: String,
    pub made_at: Timestamp,
    pub last_event: u64,
    repos: BTreeMap<RepoName, Refs>,
}

/// Bytes of an archive in one piece of its stream, and pieces on their way to a slow reader.
const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;

/// The record and the refs of one moment.
struct Moment {
    record: Everything,
    last_event: u64,
    refs: BTreeMap<RepoName, Refs>,
}

/// Reads the record between two equal readings of the branches: every landing on record is in its branch, and
/// no branch has a landing that is not on record.
async fn moment(sprint: &Coordinator) -> Result<Moment, ServiceError> {
    for _ in 0..TRIES {
        let before = refs(sprint).await?;
        let (record, last_event) = sprint
            .store
            .write(|tx| {
                Box::pin(async move { Ok::<_, ServiceError>((tx.everything().await?, tx.event_counts().await?.last)) })
            })
            .await?;
        let after = refs(sprint).await?;
        let branches = |all: &BTreeMap<RepoName, Refs>| {
            let of = |refs: &Refs| -> Refs {
                refs.iter()
                    .filter(|(name, _)| name.starts_with("refs/heads/"))
                    .map(|(a, b)| (a.clone(), b.clone()))
                    .collect()
            };
            all.iter().map(|(name, refs)| (name.clone(), of(refs))).collect::<BTreeMap<_, _>>()
        };
        let known = record.repos.iter().map(|repo| &repo.name).eq(after.keys());
        if branches(&before) == branches(&after) && known {
            return Ok(Moment { record, last_event, refs: after });
        }
        tokio::time::sleep(PAUSE).await;
    }
    let why = "branches moved in each try to read them; halt the merge queues for a moment, then try again";
    Err(Refusal::new(Code::BackupUnsettled, why).next(Act::HaltQueues).into())
}

async fn refs(sprint: &Coordinator) -> Result<BTreeMap<RepoName, Refs>, ServiceError> {
    let mut all = BTreeMap::new();
    for repo in sprint.store.live().repos() {
        all.insert(repo.name.clone(), sprint.git.get(&repo.name)?.refs().await?);
    }
    Ok(all)
}

/// The archive in pieces, as [`write()`] makes it.
///
/// # Errors
/// When there is no pipe left for it.
pub fn pieces(sprint: &Arc<Coordinator>) -> Result<Values<Bytes>, ServiceError> {
    // The archive is written by blocking calls, on a thread that may block.
    let (reader, out) = io::pipe()?;
    let pipe = tokio::fs::File::from_std(OwnedFd::from(reader).into());
    let record = Arc::clone(sprint);
    let writing = tokio::task::spawn_blocking(move || tokio::runtime::Handle::current().block_on(write(&record, out)));
    Ok(stream(sprint, PIECES, move |reader| async move {
        let mut pieces = ReaderStream::with_capacity(pipe, PIECE_BYTES);
        while let Some(Ok(piece)) = reader.wait(pieces.next()).await? {
            reader.send(piece).await?;
        }
        writing.await.map_err(io::Error::from)??;
        Ok(())
    }))
}

/// Writes everything to `out`; the coordinator may go on meanwhile.
///
/// # Errors
/// What the store, git or the file system says; what was written so far is no backup then.
pub async fn write(sprint: &Coordinator, out: impl Write + Send + 'static) -> Result<Manifest, ServiceError> {
    let Moment { record, last_event, refs } = moment(sprint).await?;
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now(),
        last_event,
        repos: refs,
    };
    let data = &sprint.data_dir;
    let scratch = data.join("backup.tmp");
    let mut tar = Builder::new(out);
    tar.sparse(false);
    entry(&mut tar, "manifest.json", &serde_json::to_vec_pretty(&manifest).map_err(io::Error::from)?)?;
    for (table, lines) in record.lines()? {
        entry(&mut tar, &format!("record/{table}.jsonl"), &lines)?;
    }
    let mut since = Seq::default();
    while since.get() < manifest.last_event {
        let page = sprint.store.events(EventFilter { since, limit: EVENTS, ..EventFilter::default() }).await?;
        let page: Vec<Event> = page.into_iter().filter(|event| event.seq.get() <= manifest.last_event).collect();
        let Some(last) = page.last() else { break };
        since = last.seq;
        lines(&mut tar, &format!("events/{:012}.jsonl", since.get()), &page)?;
    }
    for (name, refs) in &manifest.repos {
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&scratch)?;
        sprint.git.get(name)?.pack(refs, file.try_clone()?).await?;
        copy(&mut tar, &format!("repos/{name}.pack"), &scratch)?;
        let store = sprint.git.get(name)?.lfs();
        for oid in store.list() {
            match copy(&mut tar, &format!("lfs/{name}.{oid}"), &store.path(&oid)) {
                // Nothing has named it for long.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => copied?,
            }
        }
    }
    match std::fs::remove_file(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    for directory in ["identity", "logs"] {
        let mut paths: Vec<_> =
            std::fs::read_dir(data.join(directory))?.map(|found| Ok(found?.path())).collect::<io::Result<_>>()?;
        paths.sort();
        // The key of the secrets is elsewhere than what it seals.
        let is_kept = |path: &&std::path::PathBuf| path.is_file() && path.file_name() != Some(KEY_FILE.as_ref());
        for path in paths.iter().filter(is_kept) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            copy(&mut tar, &format!("{directory}/{name}"), path)?;
        }
    }
    tar.into_inner()?.flush()?;
    Ok(manifest)
}

fn entry(tar: &mut Builder<impl Write>, name: &str, content: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(content.len() as u64), name, content)
}

fn lines<T: Serialize>(tar: &mut Builder<impl Write>, name: &str, values: &[T]) -> io::Result<()> {
    let mut content = Vec::new();
    for value in values {
        serde_json::to_writer(&mut content, value)?;
        content.push(b'\n');
    }
    entry(tar, name, &content)
}

/// Copies a file as long as it is now: a log may grow meanwhile.
fn copy(tar: &mut Builder<impl Write>, name: &str, path: &Path) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    tar.append_data(&mut header(length), name, file.take(length))
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header
}

/// Fills an empty coordinator from an archive.
///
/// # Errors
/// [`Code::BackupInvalid`] for what is no backup, else what the store, git or the file system says.
pub async fn read(sprint: &Coordinator, from: impl Read) -> Result<Manifest, ServiceError> {
    let no_backup =
        |why: &str| ServiceError::new(Code::BackupInvalid, format!("this is not a backup of a coordinator: {why}"));
    let mut archive = Archive::new(from);
    let (mut manifest, mut restored) = (None::<Manifest>, Restored::default());
    let data = &sprint.data_dir;
    let scratch = data.join("backup.tmp");
    for found in archive.entries()? {
        let mut found = found?;
        let name = found.path()?.to_string_lossy().into_owned();
        let (directory, file) = name.split_once('/').unwrap_or(("", &name));
        if directory.is_empty() && file == "manifest.json" {
            let read: Manifest = serde_json::from_reader(&mut found).map_err(|error| no_backup(&error.to_string()))?;
            if read.format != FORMAT {
                return Err(no_backup(&format!("its form is {}, and this version reads {FORMAT}", read.format)));
            }
            manifest = Some(read);
            continue;
        }
        let Some(manifest) = &manifest else { return Err(no_backup("it does not begin with a manifest")) };
        if file.contains('/') || file.contains("..") || file.is_empty() {
            return Err(no_backup(&format!("it holds \"{name}\"")));
        }
        match (directory, file) {
            ("record", file) => {
                let table = file.strip_suffix(".jsonl").unwrap_or_default();
                if !restored.record.take_lines(table, &mut found)? {
                    return Err(no_backup(&format!("it holds \"{name}\"")));
                }
            }
            ("events", _) => restored.events.extend(parse::<Event>(&mut found, &name)?),
            ("repos", file) => {
                let repo = file.strip_suffix(".pack").and_then(|name| RepoName::new(name).ok());
                let repo = repo.ok_or_else(|| no_backup(&format!("it holds \"{name}\"")))?;
                let refs = manifest.repos.get(&repo).ok_or_else(|| no_backup("a repository has no refs"))?;
                let branch = restored.record.repos.iter().find(|known| known.name == repo);
                let branch = branch.map_or_else(|| "main".to_owned(), |repo| repo.branch.clone());
                io::copy(&mut found, &mut std::fs::File::create(&scratch)?)?;
                sprint.git.restore(&repo, &branch, refs, std::fs::File::open(&scratch)?).await?;
            }
            ("lfs", file) => {
                let object = file
                    .rsplit_once('.')
                    .and_then(|(repo, oid)| Some((RepoName::new(repo).ok()?, LfsOid::new(oid).ok()?)));
                let (repo, oid) = object.ok_or_else(|| no_backup(&format!("it holds \"{name}\"")))?;
                let store = sprint.git.get(&repo)?.lfs();
                let mut draft = store.draft()?;
                io::copy(&mut found, draft.as_file_mut())?;
                store.keep(draft, &oid)?;
            }
            ("identity" | "logs", file) => {
                let mut content = Vec::new();
                found.read_to_end(&mut content)?;
                sprint_identity::private::write(&data.join(directory).join(file), &content)?;
            }
            _ => return Err(no_backup(&format!("it holds \"{name}\""))),
        }
    }
    match std::fs::remove_file(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let manifest = manifest.ok_or_else(|| no_backup("it is empty"))?;
    if restored.events.len() as u64 != manifest.last_event {
        return Err(no_backup("it was cut: events are missing"));
    }
    let Restored { record, events } = restored;
    let data = json!({ "made_at": manifest.made_at, "last_event": manifest.last_event });
    let event = NewEvent { kind: EventKind::RECORD_RESTORED, repo: None, item: None, actor: local_admin(), data };
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.restore(record, events).await?;
                tx.record(event);
                Ok::<_, ServiceError>(())
            })
        })
        .await?;
    Ok(manifest)
}

/// What was read of the record so far.
#[derive(Default)]
struct Restored {
    record: Everything,
    events: Vec<Event>,
}

fn parse<T: DeserializeOwned>(from: &mut impl Read, name: &str) -> Result<Vec<T>, ServiceError> {
    serde_json::Deserializer::from_reader(from).into_iter().collect::<Result<_, _>>().map_err(|error| {
        ServiceError::new(Code::BackupInvalid, format!("{name} of the backup cannot be read: {error}"))
    })
}
