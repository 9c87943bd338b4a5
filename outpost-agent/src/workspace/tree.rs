//! Worktrees of a mirror: made, moved and removed without asking git where that is safe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sprint_core::ids::CommitId;

use super::PrepareError;
use super::git::{Git, Urgency};
use crate::disk::{self, Durability};

/// A worktree and its git directory in the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    /// `mirror/worktrees/NAME`.
    pub(crate) git_dir: PathBuf,
    pub(crate) head: CommitId,
}

impl Tree {
    /// Checks a commit out into a new worktree, detached.
    ///
    /// The git directory is made here, whole, and appears by a rename: `git worktree
    /// add` makes it file by file, and other git commands, which look at every
    /// worktree, fail when they come upon one that is half made.
    ///
    /// # Errors
    /// [`PrepareError`]; what was made of it is removed again.
    pub(crate) async fn add(
        mirror: &Path,
        path: &Path,
        commit: &CommitId,
        urgency: Urgency,
    ) -> Result<Self, PrepareError> {
        let name = format!("{:016x}", fastrand::u64(..));
        let tree = Self { path: path.to_owned(), git_dir: mirror.join("worktrees").join(&name), head: commit.clone() };
        let made = tree.make(&mirror.join("unfinished").join(name));
        let checked_out = match made {
            Ok(()) => tree.check_out(urgency).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = checked_out {
            fs::remove_dir_all(path).ok();
            fs::remove_dir_all(&tree.git_dir).ok();
            return Err(error);
        }
        Ok(tree)
    }

    /// Makes the worktree without its files; `unfinished` becomes its git directory.
    fn make(&self, unfinished: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        fs::create_dir_all(unfinished)?;
        fs::write(unfinished.join("HEAD"), format!("{}\n", self.head))?;
        fs::write(unfinished.join("commondir"), "../..\n")?;
        fs::write(unfinished.join("gitdir"), format!("{}\n", self.path.join(".git").display()))?;
        if let Some(worktrees) = self.git_dir.parent() {
            fs::create_dir_all(worktrees)?;
        }
        fs::rename(unfinished, &self.git_dir)?;
        fs::write(self.path.join(".git"), format!("gitdir: {}\n", self.git_dir.display()))
    }

    async fn check_out(&self, urgency: Urgency) -> Result<(), PrepareError> {
        Git::with(urgency, &self.git_dir)
            .work_tree(&self.path)
            .args(["checkout", "--quiet", "--force", "--detach", self.head.as_str()])
            .run()
            .await?;
        Ok(())
    }

    /// Reads a detached worktree that was made earlier.
    ///
    /// # Errors
    /// Its files cannot be read, or are not what they should be.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let git_dir = git_dir_of(path)?;
        let head = fs::read_to_string(git_dir.join("HEAD"))?;
        let head = CommitId::new(head.trim()).map_err(io::Error::other)?;
        Ok(Self { path: path.to_owned(), git_dir, head })
    }

    /// Moves it to `path`, on the same file system.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn rename(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        // The one file that says where the worktree is; the way back does not change.
        // Replaced whole: git fails on one that it finds empty.
        let back = format!("{}\n", path.join(".git").display());
        disk::write_atomic(&self.git_dir.join("gitdir"), back.as_bytes(), Durability::Process)
    }

    /// Puts another commit into a worktree that nobody has worked in.
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

    /// Makes a branch at the tree's commit and puts the tree on it.
    ///
    /// Written directly, as git itself would: it saves two processes for each start.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn begin_branch(&self, mirror: &Path, branch: &str) -> io::Result<()> {
        let name = format!("refs/heads/{branch}");
        let file = mirror.join(&name);
        let write = || {
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&file, format!("{}\n", self.head))
        };
        // Once more: git removes a directory of refs that it finds empty.
        write().or_else(|_| write())?;
        fs::write(self.git_dir.join("HEAD"), format!("ref: {name}\n"))
    }
}

/// The git directory that a worktree's `.git` file names.
fn git_dir_of(path: &Path) -> io::Result<PathBuf> {
    let text = fs::read_to_string(path.join(".git"))?;
    let git_dir = text
        .strip_prefix("gitdir: ")
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the worktree's .git file names no directory"))?;
    Ok(PathBuf::from(git_dir.trim_end_matches('\n')))
}

/// Removes a worktree with its git directory; either may be gone already.
///
/// # Errors
/// Those of the file system.
pub(crate) fn remove(path: &Path, git_dir: &Path, trash: &Path) -> io::Result<()> {
    disk::discard(path, trash)?;
    disk::discard(git_dir, trash)
}
