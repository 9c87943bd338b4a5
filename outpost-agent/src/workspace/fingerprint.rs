//! Whether anything in a workspace has changed, learnt without git: from what the file system says of each file.
//!
//! The worker is not trusted and may be at work: no link is followed, nothing is opened but directories below the
//! workspace, and the walk ends after [`MOST`] files.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher as _};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;
use sprint_core::bounds::SAVED_FILE;

use super::large::MOST as MOST_LARGE;
use super::own_git::OwnGit;
use super::stamp::Stamp;
use crate::host::disk;

/// The most files of a walk; changes beyond them go unnoticed.
const MOST: usize = 1_000_000;
/// A file that changed so little before the walk may change again without a trace: the kernel's clock for files
/// ticks every 4 to 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// What a walk has found.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    /// Equal values mean that nothing changed in between. None while something is changing.
    pub(crate) print: Option<u64>,
    pub(crate) files: usize,
    /// Those that are too large to be saved.
    pub(crate) large: Vec<PathBuf>,
}

/// Walks through a workspace, but not into the directories `ignored`.
///
/// # Errors
/// There is no workspace to walk through.
pub(crate) fn of(workspace: &Path, ignored: &BTreeSet<PathBuf>) -> io::Result<Fingerprint> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let root = File::options().read(true).custom_flags(flags.bits()).open(workspace)?;
    let settled = since_epoch(SystemTime::now() - TICK);
    let git = OwnGit::open(workspace).ok().map(|git| git.state());
    let open = vec![PathBuf::new()];
    let mut walk = Walk { root, ignored, sum: hash(&git), newest: (0, 0), left: MOST, open, large: vec![] };
    while let Some(dir) = walk.open.pop() {
        if walk.dir(&dir).is_err() {
            // Removed meanwhile, or not to be read: by git neither.
            walk.sum = walk.sum.wrapping_add(hash(&dir));
        }
    }
    let print = (walk.newest < settled).then_some(walk.sum);
    Ok(Fingerprint { print, files: MOST - walk.left, large: walk.large })
}

struct Walk<'a> {
    root: File,
    ignored: &'a BTreeSet<PathBuf>,
    /// Of all files, in whichever order they are listed.
    sum: u64,
    newest: (i64, i64),
    left: usize,
    /// Directories that are still to be listed.
    open: Vec<PathBuf>,
    large: Vec<PathBuf>,
}

impl Walk<'_> {
    fn dir(&mut self, path: &Path) -> io::Result<()> {
        for entry in disk::list_below(&self.root, path)? {
            let entry = entry?;
            let path = path.join(entry.file_name());
            if path == Path::new(".git") {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else { return Ok(()) };
            self.left = left;
            if entry.file_type()?.is_dir() {
                if !self.ignored.contains(&path) {
                    self.open.push(path);
                }
                continue;
            }
            // Of the entry itself, relative to the open directory.
            let Ok(data) = entry.metadata() else { continue };
            let stamp = Stamp::of(&data);
            self.newest = self.newest.max(stamp.changed);
            // What is committed counts as well here, so that only each file has a bound.
            if data.is_file() && data.len() > SAVED_FILE && self.large.len() < MOST_LARGE {
                self.large.push(path.clone());
            }
            self.sum = self.sum.wrapping_add(hash(&(path, stamp)));
        }
        Ok(())
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn since_epoch(time: SystemTime) -> (i64, i64) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), i64::from(since.subsec_nanos()))
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
