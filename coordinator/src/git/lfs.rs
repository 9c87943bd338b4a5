//! Objects of Git LFS: kept in our repository's directory as Git LFS itself lays them out, brought from an upstream and
//! delivered to it by its program, which knows each kind of server.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{Config, ObjectType, Oid, Repository};
use sprint_core::address::RepoAddress;
use sprint_core::ids::CommitId;
use sprint_core::lfs::{LfsObject, LfsOid, POINTER_MOST};

use super::differences::{Budget, differences};
use super::program::{self, TRANSFER_LIMIT};
use super::repository::oid;
use super::upstream::Reach;
use super::{GitError, GitRepo};

/// Where a tree says which server has its objects, unless that is the upstream itself.
pub const SERVER_FILE: &str = ".lfsconfig";
/// Names in one command line.
const AT_ONCE: usize = 200;
/// An object that nothing names goes at this age: somebody may be about to name it.
const UNNAMED: Duration = Duration::from_hours(14 * 24);

/// Where a repository keeps its objects.
#[derive(Debug, Clone)]
pub struct LfsStore {
    root: PathBuf,
}

impl LfsStore {
    pub(super) fn of(repository: &Path) -> Self {
        Self { root: repository.join("lfs") }
    }

    /// Where an object is, or would be.
    pub fn path(&self, oid: &LfsOid) -> PathBuf {
        self.root.join("objects").join(oid.path())
    }

    pub fn has(&self, object: &LfsObject) -> bool {
        self.path(&object.oid).metadata().is_ok_and(|found| found.is_file() && found.len() == object.size)
    }

    /// Keeps an object that is about to be named.
    pub fn touch(&self, oid: &LfsOid) {
        let file = fs::File::options().append(true).open(self.path(oid));
        if let Err(error) = file.and_then(|file| file.set_modified(SystemTime::now())) {
            tracing::warn!(%oid, %error, "an object of Git LFS cannot be marked as needed");
        }
    }

    /// Whether it was never used.
    pub fn is_unused(&self) -> bool {
        !self.root.is_dir()
    }

    /// A file for an object in the making; it goes if it is not kept.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn draft(&self) -> io::Result<tempfile::NamedTempFile> {
        let drafts = self.root.join("tmp");
        fs::create_dir_all(&drafts)?;
        tempfile::NamedTempFile::new_in(drafts)
    }

    /// Keeps what was written as an object; it survives a crash from here on.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, draft: tempfile::NamedTempFile, oid: &LfsOid) -> io::Result<()> {
        let path = self.path(oid);
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)?;
        draft.as_file().sync_all()?;
        draft.persist(&path).map_err(|error| error.error)?;
        fs::File::open(directory)?.sync_all()
    }

    /// The names of all objects.
    pub fn list(&self) -> BTreeSet<LfsOid> {
        let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
        below(self.root.join("objects"))
            .flat_map(|first| below(first.path()))
            .flat_map(|second| below(second.path()))
            .filter_map(|file| LfsOid::new(file.file_name().into_string().ok()?).ok())
            .collect()
    }
}

impl GitRepo {
    pub fn lfs(&self) -> LfsStore {
        LfsStore::of(self.path())
    }

    /// The server for objects that a tree names, for reading and for writing; the upstream itself where there is none.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`], and [`GitError::Failed`] when what it says cannot be read: then nobody knows.
    pub async fn lfs_server(&self, treeish: &str) -> Result<LfsServer, GitError> {
        if self.lfs_server_file(treeish)?.is_none() {
            return Ok(LfsServer::default());
        }
        let blob = format!("--blob={treeish}:{SERVER_FILE}");
        // It may not lead to other files, here or on the coordinator's host.
        let list = ["config", "--no-includes", &blob, "-z", "--list"];
        let listed = program::run(self.path(), &list, TRANSFER_LIMIT).await?;
        let entries = || listed.split('\0').filter_map(|entry| entry.split_once('\n'));
        if entries().any(|(key, _)| key.starts_with("include")) {
            let (command, stdout) = ("config".to_owned(), String::new());
            let stderr = format!("{SERVER_FILE} includes another file, which is not followed");
            return Err(GitError::Failed { command, stdout, stderr });
        }
        // The last one counts, and what is said of all servers before what is said of one.
        let value = |key: &str| entries().rfind(|(found, _)| *found == key).map(|(_, value)| value.to_owned());
        Ok(LfsServer {
            read: value("lfs.url").or_else(|| value("remote.origin.lfsurl")),
            write: value("lfs.pushurl").or_else(|| value("remote.origin.lfspushurl")),
        })
    }

    /// What stands in a tree in the place of the file that names servers: equal where nothing was changed.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn lfs_server_file(&self, treeish: &str) -> Result<Option<(String, i32)>, GitError> {
        let objects = self.objects();
        let tree = objects.find_object(oid(treeish)?, None)?.peel_to_tree()?;
        Ok(tree.get_name(SERVER_FILE).map(|entry| (entry.id().to_string(), entry.filemode())))
    }

    /// The objects whose pointers came with the commits that `new` has and `old` does not; none is old where nothing is.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn lfs_since(&self, old: Option<&CommitId>, new: &CommitId) -> Result<BTreeSet<LfsObject>, GitError> {
        let commits = match old {
            Some(old) => self.commits_since(old, new)?,
            None => self.commits_of(new)?,
        };
        let objects = self.objects();
        let mut found = BTreeSet::new();
        // One for all of them: what has landed may be all that there is.
        let mut budget = Budget::of_tree();
        for commit in commits {
            let commit = objects.find_commit(oid(commit.as_str())?)?;
            let before = commit.parents().next().map(|parent| parent.tree_id());
            differences(&objects, before, Some(commit.tree_id()), &mut budget, |_, entry| {
                let blob = entry.filter(|entry| entry.kind() == Some(ObjectType::Blob));
                if let Some(blob) = blob {
                    found.extend(pointer(&objects, blob.id())?);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Fetches objects from where an upstream has them, as far as it does; answers the words of those that it has not.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn bring_lfs(
        &self,
        address: &RepoAddress,
        server: &LfsServer,
        wanted: &[LfsObject],
    ) -> Result<Option<String>, GitError> {
        let from = server.read.as_deref();
        if let Some(why) = not_asked(address, from) {
            return Ok(Some(why));
        }
        let talk = Talk::new(&self.lfs(), address, from).await?;
        // Its program fetches what a tree names; of names alone it can only send.
        let tree = talk.tree_of(wanted)?;
        talk.run(&["fetch", &talk.remote, &tree]).await
    }

    /// Sends objects that are here to where an upstream has them; answers why it does not take them.
    ///
    /// # Errors
    /// Those of our own repository.
    pub async fn send_lfs(
        &self,
        address: &RepoAddress,
        server: &LfsServer,
        objects: &[LfsObject],
    ) -> Result<Option<String>, GitError> {
        let to = server.write.as_deref().or(server.read.as_deref());
        if let Some(why) = not_asked(address, to) {
            return Ok(Some(why));
        }
        let talk = Talk::new(&self.lfs(), address, to).await?;
        for some in objects.chunks(AT_ONCE) {
            let names: Vec<String> = some.iter().map(|object| object.oid.to_string()).collect();
            let mut args = vec!["push", "--object-id", &talk.remote];
            args.extend(names.iter().map(String::as_str));
            if let Some(why) = talk.run(&args).await? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }
}

/// Removes objects that no file names, in whatever commit, and that have not been touched for two weeks; answers how
/// many there were.
pub(super) fn reclaim(repository: &Path) -> Result<usize, GitError> {
    let store = LfsStore::of(repository);
    let is_old = |oid: &LfsOid| {
        let modified = store.path(oid).metadata().and_then(|found| found.modified());
        modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > UNNAMED))
    };
    let mut old: BTreeSet<LfsOid> = store.list().into_iter().filter(is_old).collect();
    if old.is_empty() {
        return Ok(0);
    }
    // A handle of its own: this reads every small object, and landings do not wait.
    let objects = Repository::open_bare(repository)?;
    let mut names = vec![];
    objects.odb()?.foreach(|id| {
        names.push(*id);
        true
    })?;
    for name in names {
        // One that went meanwhile names nothing.
        if let Ok(Some(object)) = pointer(&objects, name) {
            old.remove(&object.oid);
        }
    }
    // One may have been handed over again meanwhile.
    let gone: Vec<_> = old.into_iter().filter(is_old).collect();
    for oid in &gone {
        fs::remove_file(store.path(oid))?;
    }
    Ok(gone.len())
}

/// What a blob points to, if it is a pointer.
fn pointer(objects: &Repository, id: Oid) -> Result<Option<LfsObject>, GitError> {
    let (size, kind) = objects.odb()?.read_header(id)?;
    if kind != ObjectType::Blob || size >= POINTER_MOST {
        return Ok(None);
    }
    Ok(LfsObject::of_pointer(objects.find_blob(id)?.content()))
}

/// Whether a server has said no, rather than that it could not be asked.
pub fn is_refusal(said: &str) -> bool {
    const REFUSED: &[&str] = &[
        "not found",
        "no such object",
        "does not exist",
        "missing object",
        "disabled",
        "not enabled",
        "quota",
        "denied",
        "authorization",
        "authentication",
        "[401]",
        "[403]",
        "[404]",
        "[410]",
        "[413]",
        "[422]",
        "[507]",
    ];
    const NOT_ASKED: &[&str] = &["no such host", "dial tcp", "could not resolve", "timeout"];
    let said = said.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|words| said.contains(words));
    says(REFUSED) && !says(NOT_ASKED)
}

/// The servers for the objects of a tree, where it names some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LfsServer {
    pub read: Option<String>,
    pub write: Option<String>,
}

/// Why a server that a tree names is not asked: as with submodules, only a repository on this host may name a path here.
fn not_asked(address: &RepoAddress, server: Option<&str>) -> Option<String> {
    let error = address.submodule(server?).err()?;
    Some(format!("{SERVER_FILE} names a server that is not asked: {error}"))
}

/// A repository of one conversation with a server. It is empty but for the settings that we give it: what a tree says of
/// servers does not count unless we have read it.
struct Talk<'a> {
    directory: tempfile::TempDir,
    reach: Reach<'a>,
    remote: String,
    /// Where the objects are, if not at the upstream.
    server: Option<RepoAddress>,
}

impl<'a> Talk<'a> {
    async fn new(store: &LfsStore, address: &'a RepoAddress, server: Option<&str>) -> Result<Self, GitError> {
        let directory = tempfile::tempdir()?;
        let path = directory.path();
        program::run(path, &["init", "--quiet", "--bare", "."], TRANSFER_LIMIT).await?;
        let reach = Reach::new(address);
        let is_path = server.is_some_and(|server| server.starts_with("file://"));
        let remote = match server {
            Some(server) if is_path => server.to_owned(),
            Some(_) | None => address.path().map_or_else(|| reach.url.clone(), file_url),
        };
        // In its file: the other side of a path would see settings of the command line as its own, and other users of
        // the host what is secret in an address.
        let mut config = Config::open(&path.join("config"))?;
        config.set_str("lfs.storage", &store.root.to_string_lossy())?;
        config.set_bool("lfs.locksverify", false)?;
        if let Some(server) = server.filter(|_| !is_path) {
            config.set_str("lfs.url", server)?;
        }
        let server = server.map(|server| RepoAddress::as_kept(server.to_owned()));
        Ok(Self { directory, reach, remote, server })
    }

    /// A commit whose files are pointers to these.
    fn tree_of(&self, wanted: &[LfsObject]) -> Result<String, GitError> {
        let objects = Repository::open_bare(self.directory.path())?;
        let mut tree = objects.treebuilder(None)?;
        for (number, object) in wanted.iter().enumerate() {
            tree.insert(number.to_string(), objects.blob(object.pointer().as_bytes())?, 0o100_644)?;
        }
        let tree = objects.find_tree(tree.write()?)?;
        let who = git2::Signature::now("Sprint", "sprint@localhost")?;
        Ok(objects.commit(None, &who, &who, "", &tree, &[])?.to_string())
    }

    /// Runs the program; answers why it failed.
    async fn run(&self, args: &[&str]) -> Result<Option<String>, GitError> {
        let args = [&["lfs"], args].concat();
        match self.reach.lfs(self.directory.path(), &args, TRANSFER_LIMIT).await {
            Ok(_) => Ok(None),
            Err(GitError::Failed { stderr, .. }) => {
                let said = words(&stderr);
                Ok(Some(self.server.as_ref().map_or_else(|| said.clone(), |server| server.scrub(&said))))
            }
            Err(GitError::TimedOut { command: _, limit }) => {
                Ok(Some(format!("it did not end within {}", humantime::format_duration(limit))))
            }
            Err(error) => Err(error),
        }
    }
}

/// What git-lfs says of a failure, without its progress.
fn words(stderr: &str) -> String {
    if stderr.contains("'lfs' is not a git command") {
        return "git-lfs is not on the coordinator's host; install it there (Debian: apt-get install git-lfs)"
            .to_owned();
    }
    let noise = |line: &&str| !line.is_empty() && !line.starts_with("Uploading LFS") && !line.starts_with("fetch: ");
    let lines = stderr.split(['\n', '\r']).map(str::trim).filter(noise);
    let mut lines: Vec<_> = lines.map(|line| line.strip_prefix("error: ").unwrap_or(line).to_owned()).collect();
    lines.dedup();
    lines.truncate(5);
    if lines.is_empty() { "git-lfs failed without a word".to_owned() } else { lines.join("; ") }
}

/// A path as git-lfs reads it.
fn file_url(path: &Path) -> String {
    let encode = |byte: u8| match byte {
        b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    format!("file://{}", bytes.iter().copied().map(encode).collect::<String>())
}

#[cfg(test)]
#[path = "lfs_tests.rs"]
mod tests;
