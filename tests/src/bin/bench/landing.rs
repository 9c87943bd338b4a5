//! Landings whose results are known, on a repository of 5,000 files, beside git's plumbing as processes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use coordinator::config::FleetConfig;
use coordinator::git::GitRepos;
use coordinator::identity::Certificates;
use coordinator::service::Coordinator;
use coordinator::service::fleet::logs::Logs;
use coordinator::service::queue::merge;
use coordinator::service::repos::housekeeping::Work;
use coordinator::store::{Location, Store, StoreError};
use sprint_core::address::RepoAddress;
use sprint_core::change::{Change, ChangeState};
use sprint_core::event::{Actor, EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, work_ref};
use sprint_core::item::{Item, Stage};
use sprint_core::repo::Repo;

use sprint_tests::load::figures::{Figures, millis, rate};
use sprint_tests::load::site::{git, make_repository};
use sprint_tests::load::usage::resident_mib;

use crate::extent::Extent;

/// How large the repository is, and how much lands in it.
struct Amount {
    files: usize,
    /// Landings that are timed.
    changes: u64,
    /// Landings for a look at memory, and how many of them are in the queue at a time.
    many: u64,
    at_once: u64,
}

const WHOLE: Amount = Amount { files: 5_000, changes: 200, many: 10_000, at_once: 500 };
const SHORT: Amount = Amount { files: 50, changes: 5, many: 15, at_once: 5 };

/// Each change lands by itself: the results are there already, for a branch without gates all of them.
const ONE_BY_ONE: &str = "[merge]\ntogether = false\n";

pub(crate) async fn run(figures: &mut Figures, extent: Extent, landings: Option<u64>) -> anyhow::Result<()> {
    let Amount { files, changes, many, at_once } = extent.of(WHOLE, SHORT);
    let many = landings.unwrap_or(many);
    anyhow::ensure!(many > changes, "--landings is more than the {changes} that are timed one by one");
    let directory = tempfile::tempdir()?;
    let upstream = directory.path().join("upstream");
    make_repository(&upstream, files)?;
    std::fs::write(upstream.join("sprint.toml"), ONE_BY_ONE)?;
    git(&upstream, &["add", "-A"])?;
    git(&upstream, &["commit", "--quiet", "--message", "One by one"])?;
    let heads = branches(&upstream, many)?;
    let some = &heads[..usize::try_from(changes)?];
    let floor = plumbing(directory.path(), &upstream, some)?;
    let engine = Engine::open(directory.path(), &upstream).await?;
    let ours = engine.land(some).await?;
    figures.add(
        &format!("landings, results known, {files} files"),
        format!("{:.0}/s", rate(changes, ours)),
        &format!("{:.0}/s merge-tree + commit-tree + update-ref", rate(changes, floor)),
        "≥ 100/s",
    );
    figures.add(
        "work of a landing",
        format!("{} ({:.2} ×)", each(ours, changes), ours.as_secs_f64() / floor.as_secs_f64()),
        &format!("{} merge-tree + commit-tree + update-ref", each(floor, changes)),
        "≤ 1.5 × the floor",
    );
    let (mut memory, mut fetches, mut work) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut housekeeping = Work::default();
    let mirror = directory.path().join("mirror.git");
    git(directory.path(), &["init", "--quiet", "--bare", "mirror.git"])?;
    fetch(&mirror, &engine.bare()?)?;
    for batch in heads[some.len()..].chunks(usize::try_from(at_once)?) {
        work += engine.land(batch).await?;
        memory.push(resident_mib(std::process::id())?);
        fetches.push(fetch(&mirror, &engine.bare()?)?);
        housekeeping.tend(&engine.sprint, &engine.repo.name).await?;
    }
    // After the first, a quarter, half and all of them.
    let places = [0, memory.len() / 4, memory.len() / 2, memory.len() - 1];
    let landed =
        places.map(|place| (changes + at_once * (u64::try_from(place).unwrap_or(0) + 1)).min(many).to_string());
    let sizes = places.map(|place| memory[place].to_string());
    figures.add(
        &format!("memory after {} landings", landed.join(", ")),
        format!("{} MiB", sizes.join(", ")),
        &format!("{:.0}/s over all of them", rate(many - changes, work)),
        "flat",
    );
    let fresh = directory.path().join("fresh.git");
    let bare = engine.bare()?;
    git(
        directory.path(),
        &["clone", "--quiet", "--bare", "--no-local", &bare.display().to_string(), &fresh.display().to_string()],
    )?;
    let (ours, clone) = (bytes_below(&bare)?, bytes_below(&fresh)?);
    let percent = ours * 100 / clone;
    figures.add(
        &format!("repository after {many} landings"),
        format!("{} KiB ({}.{:02} ×)", ours / 1024, percent / 100, percent % 100),
        &format!("{} KiB a fresh clone", clone / 1024),
        "≤ 3 × the floor",
    );
    let [ours, clone] = [&bare, &fresh].map(|from| fetch_of_last(directory.path(), from, at_once));
    let first = millis(*fetches.first().context("there was a batch")?);
    figures.add(
        &format!("fetch of the last {at_once} landings"),
        format!("{} ({first} the first)", millis(ours?)),
        &format!("{} from a fresh clone", millis(clone?)),
        "≤ 1.2 × the floor",
    );
    engine.sprint.store.close().await;
    Ok(())
}

/// Fetches the branch, as an outpost does.
fn fetch(mirror: &Path, bare: &Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let url = format!("file://{}", bare.display());
    git(mirror, &["fetch", "--quiet", "--no-tags", "--no-auto-maintenance", &url, "+refs/heads/main:refs/heads/main"])?;
    Ok(began.elapsed())
}

/// How long a mirror that has everything else takes to fetch the last landings.
fn fetch_of_last(directory: &Path, from: &Path, landings: u64) -> anyhow::Result<Duration> {
    let mirror = tempfile::tempdir_in(directory)?;
    git(mirror.path(), &["init", "--quiet", "--bare"])?;
    let before = git(from, &["rev-parse", &format!("main~{landings}")])?;
    let url = format!("file://{}", from.display());
    git(mirror.path(), &["fetch", "--quiet", "--no-tags", &url, &format!("{}:refs/heads/main", before.trim())])?;
    fetch(mirror.path(), from)
}

/// What the files of a directory take on the disk.
fn bytes_below(directory: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut open, mut bytes) = (vec![directory.to_owned()], 0);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            bytes += entry.metadata()?.blocks() * 512;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

fn each(time: Duration, changes: u64) -> String {
    millis(time / u32::try_from(changes).unwrap_or(u32::MAX))
}

/// One branch for each change, each of which touches a file of its own.
fn branches(upstream: &Path, count: u64) -> anyhow::Result<Vec<CommitId>> {
    let main = git(upstream, &["rev-parse", "main"])?;
    let mut stream = String::new();
    for change in 0..count {
        let content = format!("changed by {change}\n");
        write!(
            stream,
            "commit refs/work/{change:05}\ncommitter bench <bench@localhost> 1700000000 +0000\ndata 4\nwork\nfrom {}\nM 100644 inline work/{}/{change}.txt\ndata {}\n{content}\n",
            main.trim(),
            change / 50,
            content.len()
        )?;
    }
    let mut import =
        Command::new("git").args(["fast-import", "--quiet"]).current_dir(upstream).stdin(Stdio::piped()).spawn()?;
    import.stdin.take().context("its input")?.write_all(stream.as_bytes())?;
    anyhow::ensure!(import.wait()?.success(), "git fast-import failed");
    let refs = git(upstream, &["for-each-ref", "--format=%(objectname)", "refs/work"])?;
    refs.lines().map(|line| Ok(CommitId::new(line)?)).collect()
}

fn plumbing(directory: &Path, upstream: &Path, heads: &[CommitId]) -> anyhow::Result<Duration> {
    let bare = directory.join("floor.git");
    git(directory, &["clone", "--quiet", "--mirror", &upstream.display().to_string(), &bare.display().to_string()])?;
    let mut tip = git(&bare, &["rev-parse", "refs/heads/main"])?.trim().to_owned();
    let began = Instant::now();
    for head in heads {
        let tree = git(&bare, &["merge-tree", "--write-tree", &tip, head.as_str()])?;
        let parents = ["-p", &tip, "-p", head.as_str()];
        let commit = git(&bare, &[&["commit-tree", "-m", "land"], &parents[..], &[tree.trim()]].concat())?;
        git(&bare, &["update-ref", "refs/heads/main", commit.trim(), &tip])?;
        commit.trim().clone_into(&mut tip);
    }
    Ok(began.elapsed())
}

/// The merge queue's service, in this process.
struct Engine {
    sprint: Coordinator,
    repo: Repo,
}

impl Engine {
    async fn open(directory: &Path, upstream: &Path) -> anyhow::Result<Self> {
        let store = Store::open(Location::Sqlite(&directory.join("sprint.db"))).await?;
        let repos = GitRepos::open(directory.join("repos")).await?;
        let name = RepoName::new("bench")?;
        let (branch, _) = repos.create(&name, &RepoAddress::new(upstream.display().to_string())?, None).await?;
        let bare = repos.get(&name)?;
        git(bare.path(), &["fetch", "--quiet", &upstream.display().to_string(), "refs/work/*:refs/work/*"])?;
        let repo = Repo { name, branch, ..fixtures::repo() };
        let certificates = Arc::new(Certificates::open(directory, &[], None, coordinator::service::now())?);
        let logs = Logs::open(directory.join("logs"))?;
        let sprint = Coordinator::new(store, repos, logs, certificates, directory.to_owned(), FleetConfig::default());
        let record = repo.clone();
        let added: Result<(), StoreError> = sprint
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.save(record, event(EventKind::REPO_ADDED));
                    Ok(())
                })
            })
            .await;
        added?;
        Ok(Self { sprint, repo })
    }

    /// Where its repository is.
    fn bare(&self) -> anyhow::Result<PathBuf> {
        Ok(self.sprint.git.get(&self.repo.name)?.path().to_owned())
    }

    /// Queues changes, and lands them all.
    async fn land(&self, heads: &[CommitId]) -> anyhow::Result<Duration> {
        let (name, heads) = (self.repo.name.clone(), heads.to_vec());
        let queued: Result<(), StoreError> = self
            .sprint
            .store
            .write(move |tx| {
                Box::pin(async move {
                    queue(tx, &name, heads);
                    Ok(())
                })
            })
            .await;
        queued?;
        let began = Instant::now();
        merge::drive(&self.sprint, &self.repo.name).await?;
        let time = began.elapsed();
        let left = self.sprint.store.live().queue(&self.repo.name).changes.len();
        anyhow::ensure!(left == 0, "{left} changes were not landed");
        Ok(time)
    }
}

fn event(kind: EventKind) -> NewEvent {
    NewEvent { kind, repo: None, item: None, actor: Actor::Scheduler, data: serde_json::json!({}) }
}

fn queue(tx: &mut coordinator::store::Tx, name: &RepoName, heads: Vec<CommitId>) {
    for head in heads {
        let (id, change, now) = (tx.next_id::<ItemId>(), tx.next_id::<ChangeId>(), tx.now());
        let item = Item {
            repo: name.clone(),
            title: work_ref(id, Attempt::new(1)),
            stage: Stage::Merging { change, landed: None },
            created_at: now,
            ..fixtures::item(id.get(), 1)
        };
        tx.save(item, event(EventKind::ITEM_ADDED));
        let change = Change {
            repo: name.clone(),
            head,
            created_at: now,
            ..fixtures::change(change.get(), id.get(), ChangeState::Queued)
        };
        tx.save(change, event(EventKind::CHANGE_QUEUED));
    }
}
