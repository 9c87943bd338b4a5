//! One bare mirror for each repo: what was fetched once is never fetched again.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprint_core::ids::{CommitId, WorkerId};
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::PrepareError;
use super::git::{Git, GitError, Urgency};
use super::remote::Remote;
use super::{lfs, refs};
use crate::host::disk;

/// How long fetching is tried before the worker is given back.
const FETCH_LIMIT: Duration = Duration::from_secs(30);
const FETCH_PAUSE: Duration = Duration::from_millis(200);
const FETCH_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How many loose objects, and files of packs, a mirror may have.
const LOOSE: usize = 3_000;
const PACK_FILES: usize = 60;
/// The pause after a packing that failed, for example on a full disk: it has read everything before.
const PACK_AGAIN: Duration = Duration::from_mins(10);

/// What a new mirror's configuration gets besides git's defaults. Nothing is
/// ever collected: trees and workers hold commits that no ref names.
const CONFIG: &str = "\
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = sprint
\temail = sprint@localhost
";

/// What comes along with each fetch: the upstream's tags and branches.
const SHARED: [&str; 2] = ["+refs/tags/*:refs/tags/*", "+refs/remotes/origin/*:refs/remotes/origin/*"];

/// A bare repository that holds every commit that workers here start from.
#[derive(Debug)]
pub(crate) struct Mirror {
    path: PathBuf,
    /// Commits that are known to be here.
    known: Mutex<HashSet<CommitId>>,
    /// One fetch at a time: those who wait mostly find their commit when it is their turn.
    fetch: tokio::sync::Mutex<()>,
    /// Set while packing fails.
    packing_failed: Mutex<Option<Instant>>,
    /// Where the objects of Git LFS come from, as is written.
    lfs: Mutex<Option<Remote>>,
    /// The upstream's tags and branches, as lines of packed refs; none when they are to be read again.
    shared: Mutex<Option<Arc<[u8]>>>,
}

/// A commit that a worker needs, and where it is found.
#[derive(Debug)]
pub(crate) struct CommitSource<'a> {
    pub(crate) commit: &'a CommitId,
    /// A ref of the coordinator's repository that reaches it.
    pub(crate) from: &'a str,
    pub(crate) worker: WorkerId,
    pub(crate) repo: &'a str,
}

fn failed(said: &str) -> GitError {
    GitError::Failed { command: "fetch".to_owned(), said: said.to_owned() }
}

impl Mirror {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: Mutex::default(),
            fetch: tokio::sync::Mutex::default(),
            packing_failed: Mutex::default(),
            lfs: Mutex::default(),
            shared: Mutex::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn is_known(&self, commit: &CommitId) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(commit)
    }

    fn learn(&self, commit: &CommitId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A cache only: forgetting costs one look.
        if known.len() > 10_000 {
            known.clear();
        }
        known.insert(commit.clone());
    }

    /// Makes sure that a commit is in the mirror, fetching it if it is not.
    ///
    /// # Errors
    /// [`PrepareError`], when it is not there after half a minute of trying.
    pub(crate) async fn ensure(
        &self,
        source: &CommitSource<'_>,
        remote: &watch::Sender<Option<Remote>>,
    ) -> Result<(), PrepareError> {
        if self.is_known(source.commit) {
            return Ok(());
        }
        let _turn = self.fetch.lock().await;
        if self.is_known(source.commit) {
            return Ok(());
        }
        self.create().await?;
        if self.holds(source.commit).await {
            self.learn(source.commit);
            return Ok(());
        }
        let give_up = Instant::now() + FETCH_LIMIT;
        let mut pause = FETCH_PAUSE;
        loop {
            let why = match self.fetch(source, remote, give_up).await {
                Ok(()) if self.holds(source.commit).await => {
                    self.learn(source.commit);
                    return Ok(());
                }
                Ok(()) => PrepareError::CommitMissing { commit: source.commit.clone(), from: source.from.to_owned() },
                Err(error) if error.says_full() => return Err(error.into()),
                Err(error) => error.into(),
            };
            if Instant::now() + pause >= give_up {
                return Err(why);
            }
            tracing::warn!(worker = %source.worker, error = %why, "the start commit could not be fetched; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(FETCH_PAUSE_MAX);
        }
    }

    async fn fetch(
        &self,
        source: &CommitSource<'_>,
        remote: &watch::Sender<Option<Remote>>,
        give_up: Instant,
    ) -> Result<(), GitError> {
        // Known from the coordinator's first welcome on.
        let mut known = remote.subscribe();
        let remote = match tokio::time::timeout_at(give_up, known.wait_for(Option::is_some)).await {
            Ok(Ok(remote)) => remote.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        let remote = remote.ok_or_else(|| failed("the coordinator has not said where the repositories are"))?;
        let url = remote.address(source.repo);
        let refspec = format!("+{}:refs/sprint/base/{}", source.from, source.worker);
        let fetch = remote
            .apply(Git::at(&self.path))
            .args(["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--no-auto-maintenance"])
            .args([&url, &refspec])
            .args(SHARED)
            .run();
        let fetched = tokio::time::timeout_at(give_up + FETCH_LIMIT * 9, fetch).await;
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match fetched {
            Ok(fetched) => fetched.map(drop),
            Err(_) => Err(failed("it took longer than five minutes")),
        }
    }

    /// The upstream's tags and branches, as the last fetch has brought them, as lines of packed refs.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn shared_refs(&self) -> Result<Arc<[u8]>, GitError> {
        if let Some(shared) = &*self.shared.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(shared));
        }
        let list = ["for-each-ref", refs::FORMAT, "refs/tags", "refs/remotes/origin"];
        let shared: Arc<[u8]> = refs::packed(&Git::at(&self.path).args(list).output().await?).into();
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&shared));
        Ok(shared)
    }

    /// Says for all checkouts where objects of Git LFS come from.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn say_where_lfs_is(&self, remote: &Remote, repo: &str) -> io::Result<()> {
        let mut written = self.lfs.lock().unwrap_or_else(PoisonError::into_inner);
        if written.as_ref() != Some(remote) {
            lfs::write_settings(&self.path, remote, repo)?;
            *written = Some(remote.clone());
        }
        Ok(())
    }

    /// Gives the objects of Git LFS back to the disk; says whether there were any.
    pub(super) fn drop_objects(&self, trash: &Path) -> bool {
        // The directory itself stays: workers that run may read it.
        let objects = fs::read_dir(lfs::objects(&self.path)).into_iter().flatten().flatten();
        objects.filter(|entry| disk::discard(&entry.path(), trash).is_ok()).count() > 0
    }

    /// Fetches the objects of Git LFS that commits name; what cannot be had is missed by whoever needs it.
    pub(super) async fn fetch_objects(&self, remote: &Remote, repo: &str, commits: &[&CommitId]) {
        let commits = commits.iter().map(|commit| commit.as_str());
        let fetch =
            lfs::reading(Git::at(&self.path), &self.path).args(["lfs", "fetch", &remote.address(repo)]).args(commits);
        match tokio::time::timeout(FETCH_LIMIT * 10, fetch.run()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "objects of Git LFS could not be fetched"),
            Err(_) => tracing::warn!("fetching objects of Git LFS took longer than five minutes"),
        }
    }

    /// Makes sure that a submodule's commit is here; the coordinator has it, or nobody.
    ///
    /// # Errors
    /// [`GitError`].
    pub(super) async fn ensure_module(
        &self,
        commit: &CommitId,
        remote: Option<&Remote>,
        repo: &str,
    ) -> Result<(), GitError> {
        let _turn = self.fetch.lock().await;
        let name = format!("refs/sprint/module/{commit}");
        // The ref, not the commit: with it all of the commit is here.
        if self.is_known(commit)
            || Git::at(&self.path).args(["rev-parse", "--verify", "--quiet", &name]).run().await.is_ok()
        {
            self.learn(commit);
            return Ok(());
        }
        let unknown = || failed("the coordinator has not said where the repositories are");
        let remote = remote.ok_or_else(unknown)?;
        let (url, refspec) = (remote.address(repo), format!("+{name}:{name}"));
        let fetch = remote
            .apply(Git::at(&self.path))
            .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", &url, &refspec])
            .run();
        match tokio::time::timeout(FETCH_LIMIT * 10, fetch).await {
            Ok(fetched) => fetched.map(|_| self.learn(commit)),
            Err(_) => Err(failed("it took longer than five minutes")),
        }
    }

    /// Whether a commit is here with all that it needs: a fetch that was ended in its midst, with the worker that wanted
    /// it, leaves commits without their trees. What refs name is whole, since git sets a ref when all of it is here.
    async fn holds(&self, commit: &CommitId) -> bool {
        let whole = ["rev-list", "--objects", "--quiet", commit.as_str(), "--not", "--all"];
        Git::at(&self.path).args(whole).run().await.is_ok()
    }

    /// Says that the repository is whole.
    fn marker(&self) -> PathBuf {
        self.path.join("sprint-mirror")
    }

    /// Makes the bare repository unless it is there; `CONFIG` is written last and marks it whole.
    async fn create(&self) -> Result<(), PrepareError> {
        let marker = self.marker();
        if marker.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.path)?;
        // Nothing of the person's templates; files as the ref store, since branches are written directly.
        Git::at(&self.path)
            .args([
                "-c",
                "init.defaultRefFormat=files",
                "init",
                "--quiet",
                "--bare",
                "--template=",
                "--initial-branch=main",
            ])
            .run()
            .await?;
        let mut config = fs::File::options().append(true).open(self.path.join("config"))?;
        config.write_all(CONFIG.as_bytes())?;
        fs::write(marker, b"")?;
        Ok(())
    }

    /// Packs objects where there are many files of them. Nothing is dropped: workers hold what no ref names.
    ///
    /// # Errors
    /// [`GitError`], and what was there stays.
    pub(crate) async fn pack(&self) -> Result<(), GitError> {
        let failed_at = || *self.packing_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at().is_some_and(|failed| failed.elapsed() < PACK_AGAIN) || !self.is_untidy() {
            return Ok(());
        }
        let repack = ["-c", "pack.threads=1", "repack", "-d", "--geometric=2", "--quiet"];
        let packed = Git::with(Urgency::Background, &self.path).args(repack).run().await;
        *self.packing_failed.lock().unwrap_or_else(PoisonError::into_inner) = packed.is_err().then(Instant::now);
        packed.map(drop)
    }

    fn is_untidy(&self) -> bool {
        let objects = self.path.join("objects");
        let count = |directory: &str| fs::read_dir(objects.join(directory)).map_or(0, Iterator::count);
        // Names are spread evenly over 256 directories; a pack has two files and more.
        count("17") * 256 > LOOSE || count("pack") > PACK_FILES
    }

    /// Removes a ref that no worker needs any more.
    ///
    /// # Errors
    /// [`GitError`]; a ref that does not exist is none.
    pub(crate) async fn remove_ref(&self, name: &str) -> Result<(), GitError> {
        if !self.marker().exists() {
            return Ok(());
        }
        // A fetch that was ended with its worker has left it; nobody else works on this ref.
        fs::remove_file(self.path.join(format!("{name}.lock"))).ok();
        Git::at(&self.path).args(["update-ref", "-d", name]).run().await.map(drop)
    }
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
