//! A worker's work: looked at, and brought to the coordinator before anything is removed.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sprint_core::ids::CommitId;

use super::git::{Git, GitError};
use super::remote::Remote;

/// What a worker has left in its workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// The newest commit, when there is any that the start commit does not have.
    pub(crate) head: Option<CommitId>,
    /// Paths with changes that are not committed; the first few of `uncommitted_count`.
    pub(crate) uncommitted: Vec<String>,
    pub(crate) uncommitted_count: usize,
}

/// A workspace and its git directory.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) path: PathBuf,
    pub(crate) git_dir: PathBuf,
}

/// How many paths a message names.
const NAMED: usize = 5;

impl Workspace {
    /// Looks for commits and for changes that are not committed.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn look(&self, base: &CommitId) -> Result<Left, GitError> {
        let newest = self.newest(base);
        // Optional locks would write the worktree's own index.
        let status = Git::at(&self.git_dir)
            .work_tree(&self.path)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .args(["status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal"])
            .run();
        let (newest, status) = tokio::try_join!(newest, status)?;
        let head = CommitId::new(newest).ok();
        let changed = || status.split('\0').filter_map(|entry| entry.get(3..)).filter(|path| !path.is_empty());
        Ok(Left {
            head,
            uncommitted: changed().take(NAMED).map(str::to_owned).collect(),
            uncommitted_count: changed().count(),
        })
    }

    /// The head, if it has commits that `base` does not have; empty otherwise.
    async fn newest(&self, base: &CommitId) -> Result<String, GitError> {
        // Usual for a worker that failed, and read without starting git.
        if self.head_from_files().as_deref() == Some(base.as_str()) {
            return Ok(String::new());
        }
        // The first that is listed is where the walk began: the head.
        Git::at(&self.git_dir).args(["rev-list", "--max-count=1", &format!("{base}..HEAD")]).run().await
    }

    /// What HEAD names, where plain files say so.
    fn head_from_files(&self) -> Option<String> {
        let head = std::fs::read_to_string(self.git_dir.join("HEAD")).ok()?;
        let Some(name) = head.trim_end().strip_prefix("ref: ") else { return Some(head.trim_end().to_owned()) };
        // `mirror/worktrees/NAME`: branches belong to the mirror.
        let mirror = self.git_dir.parent()?.parent()?;
        Some(std::fs::read_to_string(mirror.join(name)).ok()?.trim_end().to_owned())
    }

    /// Makes a commit of everything that is not committed, without touching the
    /// worktree's own index, HEAD or hooks.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn snapshot(&self, parent: &CommitId, place: &Place) -> Result<CommitId, GitError> {
        // A copy of the index saves git from reading every file again; without one it does.
        let index = place.index();
        std::fs::remove_file(index).ok();
        std::fs::copy(self.git_dir.join("index"), index).ok();
        let made = self.snapshot_with(parent, place).await;
        std::fs::remove_file(index).ok();
        made
    }

    async fn snapshot_with(&self, parent: &CommitId, place: &Place) -> Result<CommitId, GitError> {
        let git = || place.apply(Git::at(&self.git_dir).work_tree(&self.path)).env("GIT_INDEX_FILE", place.index());
        // What cannot be read is left out rather than losing the rest.
        let added = git().args(["add", "--all", "--ignore-errors"]).run().await;
        if let Err(error) = added {
            if error.says_full() {
                return Err(error);
            }
            tracing::warn!(workspace = %self.path.display(), %error, "some uncommitted files could not be saved");
        }
        let tree = git().args(["write-tree"]).run().await?;
        let message = "Uncommitted work, as the worker left it";
        let commit = git()
            .env("GIT_AUTHOR_NAME", "sprint")
            .env("GIT_AUTHOR_EMAIL", "sprint@localhost")
            .env("GIT_COMMITTER_NAME", "sprint")
            .env("GIT_COMMITTER_EMAIL", "sprint@localhost")
            .args(["commit-tree", &tree, "-p", parent.as_str(), "-m", message])
            .run()
            .await?;
        CommitId::new(commit)
            .map_err(|error| GitError::Failed { command: "commit-tree".to_owned(), said: error.to_string() })
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn tree_of(&self, commit: &CommitId) -> Result<String, GitError> {
        Git::at(&self.git_dir).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).run().await
    }

    /// Pushes commits to refs of the coordinator's repository.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) async fn push(
        &self,
        remote: &Remote,
        repo: &str,
        refspecs: &[String],
        place: &Place,
    ) -> Result<(), GitError> {
        remote
            .apply(place.apply(Git::at(&self.git_dir)))
            .args(["push", "--quiet", "--no-verify", &remote.address(repo)])
            .args(refspecs)
            .run()
            .await
            .map(drop)
    }
}

/// Where a snapshot's new objects go.
#[derive(Debug)]
pub(crate) enum Place {
    /// Into the mirror, as usual.
    Mirror { index: PathBuf },
    /// Onto another disk, because the mirror's is full; they last until they are pushed.
    Elsewhere { index: PathBuf, objects: PathBuf, mirror_objects: PathBuf, dir: PathBuf },
}

impl Place {
    /// A directory on a file system that has room.
    ///
    /// # Errors
    /// None could be made.
    pub(crate) fn elsewhere(mirror: &Path) -> std::io::Result<Self> {
        let candidates = [PathBuf::from("/dev/shm"), std::env::temp_dir(), PathBuf::from("/var/tmp")];
        let mut last = std::io::Error::new(std::io::ErrorKind::StorageFull, "no other disk has room either");
        for parent in candidates.into_iter().filter(|parent| parent.is_dir() && !crate::disk::is_full(parent)) {
            let dir = parent.join(format!("sprint-save-{:016x}", fastrand::u64(..)));
            match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => {
                    let objects = dir.join("objects");
                    std::fs::create_dir(&objects)?;
                    let mirror_objects = mirror.join("objects");
                    return Ok(Self::Elsewhere { index: dir.join("index"), objects, mirror_objects, dir });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn index(&self) -> &Path {
        match self {
            Self::Mirror { index } | Self::Elsewhere { index, .. } => index,
        }
    }

    fn apply(&self, git: Git) -> Git {
        match self {
            Self::Mirror { .. } => git,
            Self::Elsewhere { objects, mirror_objects, .. } => {
                git.env("GIT_OBJECT_DIRECTORY", objects).env("GIT_ALTERNATE_OBJECT_DIRECTORIES", mirror_objects)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Self::Mirror { .. } => {}
            Self::Elsewhere { dir, .. } => {
                std::fs::remove_dir_all(dir).ok();
            }
        }
    }
}
