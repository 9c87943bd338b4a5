//! Where work is on its way from a worker to the coordinator.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::git::GitError;
use crate::host::disk;
use crate::host::paths::WorkerDir;

const PASSING: &str = "snapshot-";

/// Two git directories, removed with it.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// A git directory that sees the worker's objects, used within its confinement.
    pub(super) look: PathBuf,
    /// The agent's own, with what was taken over.
    pub(super) saved: PathBuf,
    /// Made for the two.
    parent: Option<PathBuf>,
    pub(super) index: Index,
}

/// Where the index comes from that tells git what has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// From the worker, which saves git from reading every file.
    Copied,
    /// From the head, since the worker's was of no use.
    Fresh,
}

impl Scratch {
    /// In the worker's directory; while that disk is full, on another if there is one.
    pub(crate) fn new(dir: &WorkerDir) -> Self {
        if disk::is_full(dir.path()) { Self::elsewhere_for(dir) } else { Self::in_its_place(dir) }
    }

    /// For snapshots of a running worker: never the same twice, since a git that was interrupted may still use one.
    pub(crate) fn passing(dir: &WorkerDir) -> Self {
        let parent = dir.path().join(format!("{PASSING}{:016x}", fastrand::u64(..)));
        Self {
            look: parent.join("look.git"),
            saved: parent.join("saved.git"),
            parent: Some(parent),
            index: Index::Copied,
        }
    }

    /// Removes what interrupted snapshots have left.
    pub(crate) fn sweep(dir: &WorkerDir) {
        for entry in fs::read_dir(dir.path()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PASSING) {
                disk::remove_dir(&entry.path()).ok();
            }
        }
    }

    /// After an error, on another disk if that one was full.
    pub(crate) fn after(error: &GitError, dir: &WorkerDir) -> Self {
        let scratch = if error.says_full() { Self::elsewhere_for(dir) } else { Self::new(dir) };
        scratch.with_fresh_index()
    }

    fn with_fresh_index(mut self) -> Self {
        self.index = Index::Fresh;
        self
    }

    fn elsewhere_for(dir: &WorkerDir) -> Self {
        Self::elsewhere().unwrap_or_else(|_| Self::in_its_place(dir))
    }

    fn in_its_place(dir: &WorkerDir) -> Self {
        Self {
            look: dir.path().join("look.git"),
            saved: dir.path().join("saved.git"),
            parent: None,
            index: Index::Copied,
        }
    }

    /// A directory on a file system that has room; what is in it lasts until it is pushed.
    ///
    /// # Errors
    /// None could be made.
    fn elsewhere() -> io::Result<Self> {
        let candidates = [PathBuf::from("/dev/shm"), std::env::temp_dir(), PathBuf::from("/var/tmp")];
        let mut last = io::Error::new(io::ErrorKind::StorageFull, "no other disk has room either");
        for parent in candidates.into_iter().filter(|parent| parent.is_dir() && !disk::is_full(parent)) {
            let dir = parent.join(format!("sprint-save-{:016x}", fastrand::u64(..)));
            match fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => {
                    let (look, saved) = (dir.join("look.git"), dir.join("saved.git"));
                    return Ok(Self { look, saved, parent: Some(dir), index: Index::Copied });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn clear(&self) -> io::Result<()> {
        disk::remove_dir(&self.look)?;
        disk::remove_dir(&self.saved)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear().ok();
        if let Some(parent) = &self.parent {
            disk::remove_dir(parent).ok();
        }
    }
}
