//! Files that are too large to be saved as uncommitted work: git would read each of them to its end, and a sparse file of
//! any size costs a worker nothing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sprint_core::bounds::{SAVED_BYTES, SAVED_FILE};

use crate::host::disk;

/// Smaller files are what people write, and are never left out, however many there are.
const SMALL: u64 = 16 << 20;
/// How many entries are looked at; what is beyond is saved, or is not, as its time allows.
const MOST_ENTRIES: usize = 1_000_000;
/// How many are named to git.
pub(super) const MOST: usize = 1_000;

/// How much of the room for a save is left.
#[derive(Debug)]
struct Room(u64);

impl Room {
    const fn new() -> Self {
        Self(SAVED_BYTES)
    }

    /// Whether a file of this size is too large.
    const fn lacks(&mut self, bytes: u64) -> bool {
        if bytes < SMALL {
            return false;
        }
        if bytes > SAVED_FILE || bytes > self.0 {
            return true;
        }
        self.0 -= bytes;
        false
    }
}

/// Those at or below some paths of a workspace, from the workspace.
///
/// # Errors
/// The workspace cannot be opened.
pub(super) fn below(workspace: &Path, from: impl Iterator<Item = PathBuf>) -> io::Result<Vec<PathBuf>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let root = File::options().read(true).custom_flags(flags.bits()).open(workspace)?;
    let (mut space, mut found, mut open) = (Room::new(), vec![], vec![]);
    for path in from.take(MOST_ENTRIES) {
        // Only its size counts: what stands behind a link is not read.
        match fs::symlink_metadata(workspace.join(&path)) {
            Ok(data) if data.is_dir() => open.push(path),
            Ok(data) if data.is_file() && space.lacks(data.len()) => found.push(path),
            Ok(_) | Err(_) => {}
        }
    }
    let mut left = MOST_ENTRIES;
    while let Some(dir) = open.pop() {
        for entry in disk::list_below(&root, &dir).into_iter().flatten().flatten() {
            left -= 1;
            if left == 0 || found.len() >= MOST {
                return Ok(found);
            }
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                open.push(dir.join(entry.file_name()));
            } else if data.is_file() && space.lacks(data.len()) {
                found.push(dir.join(entry.file_name()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beyond_the_bounds_are_found_whatever_they_hold() {
        let dir = tempfile::tempdir().expect("a directory");
        let make = |path: &str, bytes: u64| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("is made");
            File::create(path).and_then(|file| file.set_len(bytes)).expect("is made");
        };
        make("new/deep/sparse", 1 << 40);
        make("new/small", 5);
        make("changed", SAVED_FILE + 1);
        make("fits", SAVED_FILE);
        for number in 0..5 {
            make(&format!("many/{number}"), SAVED_FILE);
        }
        std::os::unix::fs::symlink("changed", dir.path().join("link")).expect("is made");
        let find = |from: &[&str]| {
            let mut found = below(dir.path(), from.iter().map(PathBuf::from)).expect("is looked at");
            found.sort();
            found
        };
        assert_eq!(
            find(&["new", "changed", "fits", "link", "gone"]),
            ["changed", "new/deep/sparse"].map(PathBuf::from)
        );
        let of_many = find(&["many"]).len();
        assert_eq!(of_many as u64, 5 - SAVED_BYTES / SAVED_FILE);
        // Many small files have no bound in all: a large repository is mostly those.
        for number in 0..80 {
            make(&format!("small/{number}"), SMALL - 1);
        }
        const { assert!(80 * (SMALL - 1) > SAVED_BYTES) }
        assert_eq!(find(&["small"]), Vec::<PathBuf>::new());
    }
}
