//! Every repo of this outpost: its mirror, its ready worktrees, and the workspaces that are made of them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprint_core::assignment::Assignment;
use sprint_core::ids::RepoName;
use sprint_core::job::AttemptJob;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::PrepareError;
use super::furnish::{Furnished, Site, furnish};
use super::git::Urgency;
use super::mirror::{CommitSource, Mirror};
use super::pool::{Pool, Upkeep};
use super::remote::Remote;
use super::submodules::{self, Populated};
use super::tree::Tree;
use super::{lfs, refs};
use crate::host::disk;
use crate::host::paths::{DataDir, WorkerDir};

/// For how long no worker must have started before the pool fills up again.
const SETTLE: Duration = Duration::from_millis(100);
/// How long it waits for such a moment, at most, before each tree.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
/// How long the pool waits after upkeep failed.
const TEND_AGAIN: Duration = Duration::from_secs(10);

/// One repo's mirror and its ready worktrees.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) mirror: Mirror,
    pool: Pool,
}

/// Every repo that the outpost has anything of.
#[derive(Debug)]
pub(crate) struct Repositories {
    data: DataDir,
    warm: usize,
    /// Files that git ignores, below the name of each repo.
    files: Option<PathBuf>,
    /// Where the coordinator serves repositories, once it has said so.
    pub(crate) remote: watch::Sender<Option<Remote>>,
    open: Mutex<HashMap<RepoName, Arc<Repository>>>,
    upkeep: Notify,
    last_start: Mutex<Option<Instant>>,
    /// The disk is low: nothing is made in advance.
    lean: AtomicBool,
}

impl Repositories {
    pub(crate) fn new(data: DataDir, warm: usize, files: Option<PathBuf>) -> Self {
        let remote = watch::channel(None).0;
        let (open, last_start, lean) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { data, warm, files, remote, open, upkeep: Notify::new(), last_start, lean }
    }

    pub(crate) fn get(&self, name: &RepoName) -> Arc<Repository> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(name.clone())
            .or_insert_with(|| {
                let mirror = self.data.mirror(name);
                Arc::new(Repository {
                    pool: Pool::open(self.data.warm(name), self.data.trash(), self.warm, &mirror),
                    mirror: Mirror::new(mirror),
                })
            })
            .clone()
    }

    /// Makes a worker's workspace: at its commit, on its branch if it works on an item, with the work that it resumes;
    /// answers what it was given besides, and what is missing in it.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub(crate) async fn prepare(&self, assignment: &Assignment, dir: &WorkerDir) -> Result<Furnished, PrepareError> {
        self.starting();
        let repository = self.get(&assignment.repo);
        let mirror = repository.mirror.path();
        let source =
            |commit, from| CommitSource { commit, from, worker: assignment.worker, repo: assignment.repo.as_str() };
        repository.mirror.ensure(&source(&assignment.base, &assignment.base_ref), &self.remote).await?;
        if let Some(remote) = &*self.remote.borrow() {
            repository.mirror.say_where_lfs_is(remote, assignment.repo.as_str())?;
        }
        let mut start = &assignment.base;
        if let Some(resumed) = &assignment.resumed {
            start = resumed.uncommitted.as_ref().unwrap_or(&resumed.commit);
            let fetched = repository.mirror.ensure(&source(start, &resumed.from_ref), &self.remote).await;
            fetched.map_err(|why| PrepareError::Resume { attempt: resumed.attempt, why: Box::new(why) })?;
        }
        let workspace = dir.workspace();
        self.clear(&workspace)?;
        let remote = self.remote.borrow().clone();
        if let (Some(_), Some(remote), true) = (&assignment.resumed, &remote, lfs::is_used(mirror)) {
            // Both sides of a merge.
            repository.mirror.fetch_objects(remote, assignment.repo.as_str(), &[&assignment.base, start]).await;
        }
        let mut tree = match repository.pool.take(start) {
            // They are asked for once more.
            Some(tree) if tree.lacks_objects() => {
                self.clear(&tree.path)?;
                Tree::add(mirror, &workspace, start, Urgency::Normal).await?
            }
            Some(mut tree) => {
                tree.rename(&workspace)?;
                tree.switch(start, Urgency::Normal).await?;
                tree
            }
            None => Tree::add(mirror, &workspace, start, Urgency::Normal).await?,
        };
        if let Some(resumed) = &assignment.resumed {
            tree.uncommit(&resumed.commit).await?;
        }
        let lacks_objects = tree.lacks_objects();
        let shared = repository.mirror.shared_refs().await?;
        let branch = assignment.job.attempt().map(AttemptJob::branch);
        let given = refs::given(&shared, assignment.target.as_ref(), branch.as_deref());
        std::fs::write(dir.given_refs(), &given)?;
        tree.begin(&given, assignment.target.as_ref(), branch.as_deref())?;
        if branch.is_some() {
            repository.pool.expect(&assignment.base);
        }
        let origin = assignment.target.as_ref().and_then(|target| target.origin.as_deref());
        let repo = assignment.repo.as_str();
        let Populated { given, missing } =
            submodules::populate(&repository.mirror, remote.as_ref(), repo, &tree, origin).await?;
        if !given.is_empty() {
            std::fs::write(dir.given_submodules(), serde_json::to_vec(&given).map_err(io::Error::other)?)?;
        }
        let site = Site { tree: &tree, assignment, dir, data: &self.data, mirror };
        let mut furnished = furnish(site, self.files(&assignment.repo).as_deref()).await?;
        if lacks_objects {
            furnished.notes.push("some files hold pointers of Git LFS: nobody gave their objects".to_owned());
        }
        furnished.notes.extend(missing.into_iter().map(|why| format!("the submodule {why}; it is empty")));
        Ok(furnished)
    }

    /// This outpost's files for a repo.
    pub(crate) fn files(&self, repo: &RepoName) -> Option<PathBuf> {
        self.files.as_ref().map(|files| files.join(repo.as_str()))
    }

    /// Removes what an attempt to prepare has left when the agent ended in the middle of it.
    fn clear(&self, workspace: &Path) -> io::Result<()> {
        disk::discard(workspace, &self.data.trash())
    }

    /// Keeps no worktrees ready while the disk is low, and gives back those that were; says whether there were any.
    pub(crate) async fn stay_lean(&self, lean: bool) -> bool {
        let was = self.lean.swap(lean, Ordering::Relaxed);
        if was && !lean {
            self.upkeep.notify_one();
        }
        if !lean {
            return false;
        }
        // Also those of which nothing was asked since the agent's start.
        for entry in std::fs::read_dir(self.data.warm_trees()).into_iter().flatten().flatten() {
            if let Some(repo) = entry.file_name().to_str().and_then(|name| RepoName::new(name).ok()) {
                self.get(&repo);
            }
        }
        let all: Vec<_> = self.open.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let (caches, trash) = (self.data.all_caches(), self.data.trash());
        let drain = move || {
            // What setups have filled can be filled again.
            let had_caches = caches.is_dir() && disk::discard(&caches, &trash).is_ok();
            // As can objects of Git LFS be fetched again.
            let dropped =
                all.iter().filter(|repository| repository.pool.drain() | repository.mirror.drop_objects(&trash));
            dropped.count() > 0 || had_caches
        };
        tokio::task::spawn_blocking(drain).await.unwrap_or(false)
    }

    fn starting(&self) {
        *self.last_start.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Says that a start is done, so that the pool may fill up.
    pub(crate) fn started(&self) {
        self.starting();
        self.upkeep.notify_one();
    }

    /// Keeps the pools full, after starts and at low priority, until `stop`.
    pub(crate) async fn tend(&self, stop: CancellationToken) {
        let mut pause = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.upkeep.notified() => {}
                () = sleep(pause), if pause.is_some() => {}
            }
            pause = tokio::select! {
                () = stop.cancelled() => return,
                pause = self.tend_once() => pause,
            };
        }
    }

    /// Waits until no worker has started for a moment.
    pub(crate) async fn quiet(&self) {
        let last = || *self.last_start.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(left) = last().and_then(|last| SETTLE.checked_sub(last.elapsed())) {
            tokio::time::sleep(left).await;
        }
    }

    /// Fills every pool; after a failure says when to try again.
    async fn tend_once(&self) -> Option<Duration> {
        let all: Vec<_> = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.iter().map(|(name, repository)| (name.clone(), repository.clone())).collect()
        };
        let mut pause = None;
        for (repo, repository) in all {
            while !self.lean.load(Ordering::Relaxed) {
                tokio::time::timeout(SETTLE_LIMIT, self.quiet()).await.ok();
                match repository.pool.tend(repository.mirror.path()).await {
                    Ok(Upkeep::Something) => {}
                    Ok(Upkeep::Nothing) => break,
                    Err(error) => {
                        tracing::warn!(%repo, %error, "a worktree could not be made in advance");
                        pause = Some(TEND_AGAIN);
                        break;
                    }
                }
            }
            if !self.lean.load(Ordering::Relaxed)
                && let Err(error) = repository.mirror.pack().await
            {
                tracing::warn!(%repo, %error, "the mirror could not be packed");
            }
        }
        pause
    }
}

async fn sleep(pause: Option<Duration>) {
    tokio::time::sleep(pause.unwrap_or(TEND_AGAIN)).await;
}
