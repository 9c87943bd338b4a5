//! Worktrees with a repository of their own, whose objects are the mirror's: made, moved and
//! removed without asking git where that is safe.
//!
//! A worker commits into its own `.git`, and can change nothing that another worker or the
//! agent's git reads. For the same reason the agent's git must not use a `.git` that a worker
//! has had: see `save`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sprint_core::assignment::TargetBranch;
use sprint_core::ids::CommitId;

use super::error::PrepareError;
use super::git::{Git, GitError, Urgency};
use super::{lfs, refs};
use crate::host::disk;

/// The longest that a checkout may take, with the files that it fetches.
const LIMIT: Duration = Duration::from_mins(30);

/// A tree's configuration, which begins with its core.
pub(super) const CORE: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
";

/// What follows. Nothing is collected behind a worker's back.
pub(super) const REST: &str = "\
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = sprint
\temail = sprint@localhost
";

/// A worktree with its `.git`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    pub(crate) head: CommitId,
}

impl Tree {
    /// Checks a commit out into a new worktree, detached.
    ///
    /// # Errors
    /// [`PrepareError`]; what was made of it is removed again.
    pub(crate) async fn add(
        mirror: &Path,
        path: &Path,
        commit: &CommitId,
        urgency: Urgency,
    ) -> Result<Self, PrepareError> {
        let tree = Self { path: path.to_owned(), head: commit.clone() };
        let config = [CORE, REST, lfs::FILTER, &lfs::include(mirror)].concat();
        let made = repository(&tree.git_dir(), &[&mirror.join("objects")], &config, commit);
        let checked_out = match made {
            Ok(()) => tree.check_out(urgency).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = checked_out {
            disk::remove_dir(path).ok();
            return Err(error);
        }
        Ok(tree)
    }

    fn git_dir(&self) -> PathBuf {
        self.path.join(".git")
    }

    async fn check_out(&self, urgency: Urgency) -> Result<(), PrepareError> {
        let git = || Git::with(urgency, &self.git_dir()).work_tree(&self.path);
        let check_out = ["checkout", "--quiet", "--force", "--detach", self.head.as_str()];
        let Err(error) = in_time(git().args(check_out).run()).await else { return Ok(()) };
        match lfs::Cause::of(&error) {
            Some(lfs::Cause::NoProgram) => Err(PrepareError::NoLfs),
            Some(lfs::Cause::Missing) => {
                tracing::warn!(%error, "objects of Git LFS are missing; files hold their pointers");
                let (key, value) = lfs::LEAVE_POINTERS;
                in_time(git().env(key, value).args(check_out).run()).await?;
                fs::write(self.git_dir().join(lfs::LACKS), "")?;
                Ok(())
            }
            None => Err(error.into()),
        }
    }

    /// Reads a detached worktree that was made earlier.
    ///
    /// # Errors
    /// Its files cannot be read, or are not what they should be.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let head = fs::read_to_string(path.join(".git/HEAD"))?;
        let head = CommitId::new(head.trim()).map_err(io::Error::other)?;
        Ok(Self { path: path.to_owned(), head })
    }

    /// Whether some of its files hold pointers of Git LFS, since nobody gave their objects.
    pub(crate) fn lacks_objects(&self) -> bool {
        self.git_dir().join(lfs::LACKS).exists()
    }

    /// Whether its objects are in this mirror, at the place where that is now.
    pub(crate) fn borrows_from(&self, mirror: &Path) -> bool {
        // One of an earlier release knows nothing of Git LFS.
        if !fs::read_to_string(self.git_dir().join("config")).is_ok_and(|text| text.contains(lfs::FILTER)) {
            return false;
        }
        let alternates = fs::read_to_string(self.git_dir().join("objects/info/alternates"));
        alternates.is_ok_and(|text| text.trim_end() == mirror.join("objects").display().to_string())
    }

    /// Moves it to `path`, on the same file system.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn rename(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Puts another commit into a worktree that no worker has used.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub(crate) async fn switch(&mut self, commit: &CommitId, urgency: Urgency) -> Result<(), PrepareError> {
        if self.head == *commit {
            return Ok(());
        }
        self.head = commit.clone();
        self.check_out(urgency).await
    }

    /// Goes back to a commit and leaves the files as they are: what is between the two is then uncommitted.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub(crate) async fn uncommit(&mut self, commit: &CommitId) -> Result<(), PrepareError> {
        if self.head == *commit {
            return Ok(());
        }
        self.head = commit.clone();
        let reset = ["reset", "--quiet", "--mixed", commit.as_str()];
        Git::at(&self.git_dir()).work_tree(&self.path).args(reset).run().await?;
        Ok(())
    }

    /// Makes a worker's repository of it: with the refs that it is `given`, the upstream as its `origin`, and on a
    /// branch of its own at the tree's commit.
    ///
    /// Written directly, as git itself would: it saves two processes for each start. Packed refs need no directories.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn begin(&self, given: &[u8], target: Option<&TargetBranch>, branch: Option<&str>) -> io::Result<()> {
        let dir = self.git_dir();
        fs::create_dir_all(dir.join("hooks"))?;
        let remote = target.map(refs::remote).unwrap_or_default();
        fs::write(dir.join("config"), [CORE, REST, lfs::FILTER, &remote].concat())?;
        let Some(branch) = branch else { return fs::write(dir.join("packed-refs"), given) };
        let name = format!("refs/heads/{branch}");
        fs::write(dir.join("packed-refs"), [given, &refs::line(&self.head, &name)].concat())?;
        fs::write(dir.join("HEAD"), format!("ref: {name}\n"))
    }
}

/// Ends a checkout that waits: its filters may, for what the repository says.
async fn in_time(check_out: impl Future<Output = Result<String, GitError>>) -> Result<String, GitError> {
    tokio::time::timeout(LIMIT, check_out).await.unwrap_or_else(|_| {
        let said = format!("it took longer than {}", humantime::format_duration(LIMIT));
        Err(GitError::Failed { command: "checkout".to_owned(), said })
    })
}

/// Makes a git directory that reads further objects elsewhere, with a detached head.
///
/// # Errors
/// Those of the file system.
pub(crate) fn repository(git_dir: &Path, objects: &[&Path], config: &str, head: &CommitId) -> io::Result<()> {
    for name in ["objects/info", "refs/heads", "info"] {
        fs::create_dir_all(git_dir.join(name))?;
    }
    let alternates: Vec<_> = objects.iter().map(|path| path.display().to_string()).collect();
    fs::write(git_dir.join("objects/info/alternates"), alternates.join("\n") + "\n")?;
    fs::write(git_dir.join("config"), config)?;
    fs::write(git_dir.join("HEAD"), format!("{head}\n"))
}
