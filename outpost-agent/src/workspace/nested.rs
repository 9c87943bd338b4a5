//! Repositories within a workspace, found by their `.git`.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::host::disk;

/// How many entries are looked at, and how many repositories are found: more than a worker makes that means to.
const MOST_ENTRIES: usize = 1_000_000;
const MOST: usize = 20;

/// The directories at or below some of a workspace's that have a `.git`, from the workspace, in order.
///
/// No link is followed: a worker may have made it.
///
/// # Errors
/// The workspace cannot be opened, or there is too much to look at; nothing is left out silently.
pub(super) fn below(workspace: &Path, from: Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let root = File::options().read(true).custom_flags(flags.bits()).open(workspace)?;
    let mut open = from;
    let (mut found, mut left) = (vec![], MOST_ENTRIES);
    while let Some(dir) = open.pop() {
        // One that is gone, or is none, or cannot be read holds nothing that could be saved.
        for entry in disk::list_below(&root, &dir).into_iter().flatten().flatten() {
            left = left.checked_sub(1).ok_or_else(|| io::Error::other("there are too many files to look at"))?;
            if entry.file_name() == ".git" {
                found.push(dir.clone());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(dir.join(entry.file_name()));
            }
        }
        if found.len() > MOST {
            return Err(io::Error::other(format!("there are more than {MOST}")));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn repositories_are_found_at_any_depth_and_links_are_not_followed() {
        let (dir, outside) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        for path in ["new/a/.git", "new/a/b/.git", "old/.git", ".git"] {
            fs::create_dir_all(dir.path().join(path)).expect("is made");
        }
        fs::create_dir_all(outside.path().join("c/.git")).expect("is made");
        symlink(outside.path(), dir.path().join("new/out")).expect("is made");
        fs::write(dir.path().join("new/file"), "").expect("is written");
        let below = |from: &[&str]| below(dir.path(), from.iter().map(PathBuf::from).collect()).expect("is walked");
        assert_eq!(below(&["new", "new/a"]), [PathBuf::from("new/a"), PathBuf::from("new/a/b")]);
        assert_eq!(below(&["old", "gone", "new/file", "../x", "new/out"]), [PathBuf::from("old")]);
    }
}
