//! Removing the directories of workers, who may nest them without end and take every right away from them.
//!
//! The standard library takes a stack frame and an open file for each level: 20,000 levels overflow the stack, and
//! with it the agent ends. Here what lies in a directory is moved up, so that there are never more than two levels.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// An entry of a directory.
struct Entry {
    name: std::ffi::CString,
    is_dir: bool,
}

/// Removes a directory with all that is in it.
///
/// # Errors
/// Those of the file system; what could not be removed is still there, perhaps under other names.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let mut root = open(AT_FDCWD, path)?;
    let mut names = (0_u64..).map(|number| format!("sprint-{:016x}-{number}", fastrand::u64(..)));
    loop {
        let entries = entries(&mut root)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            if !entry.is_dir {
                unlinkat(&root, entry.name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
                continue;
            }
            let mut dir = open(&root, entry.name.as_c_str())?;
            for inner in self::entries(&mut dir)? {
                if inner.is_dir {
                    let name = names.next().unwrap_or_default();
                    // A directory that may not be changed may not be moved.
                    drop(open(&dir, inner.name.as_c_str())?);
                    renameat(&dir, inner.name.as_c_str(), &root, name.as_str())?;
                } else {
                    unlinkat(&dir, inner.name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
                }
            }
            unlinkat(&root, entry.name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
    drop(root);
    fs::remove_dir(path)
}

/// Opens a directory, never through a link, and gives its owner all rights.
fn open<P: nix::NixPath + ?Sized>(at: impl AsFd, path: &P) -> io::Result<Dir> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let handle: OwnedFd = openat(at, path, flags | OFlag::O_PATH | OFlag::O_NOFOLLOW, Mode::empty())?;
    if fstat(&handle)?.st_mode & 0o700 != 0o700 {
        fs::set_permissions(format!("/proc/self/fd/{}", handle.as_raw_fd()), fs::Permissions::from_mode(0o700))?;
    }
    Ok(Dir::openat(&handle, ".", flags | OFlag::O_RDONLY, Mode::empty())?)
}

fn entries(dir: &mut Dir) -> io::Result<Vec<Entry>> {
    let mut entries = vec![];
    let all: Vec<_> = dir.iter().collect::<Result<_, Errno>>()?;
    for entry in all {
        let name = entry.file_name().to_owned();
        if matches!(name.as_bytes(), b"." | b"..") {
            continue;
        }
        let is_dir = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // Some file systems do not say.
            None => open(&*dir, name.as_c_str()).is_ok(),
        };
        entries.push(Entry { name, is_dir });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::unistd::{Uid, chown, setfsuid};

    use super::*;

    #[test]
    fn a_directory_is_removed_with_everything_in_it_and_no_link_is_followed() {
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("kept"), b"x").expect("is written");
        let dir = tempfile::tempdir().expect("a directory");
        let tree = dir.path().join("tree");
        for path in ["a/b/c", "a/b/d", "e", "sprint-0"] {
            fs::create_dir_all(tree.join(path)).expect("is made");
            fs::write(tree.join(path).join("file"), b"x").expect("is written");
        }
        symlink(outside.path(), tree.join("a/link")).expect("is made");
        symlink("nowhere", tree.join("link")).expect("is made");
        remove_tree(&tree).expect("is removed");
        assert!(!tree.exists());
        assert!(outside.path().join("kept").exists());
        symlink(outside.path(), &tree).expect("is made");
        remove_tree(&tree).expect_err("is a link");
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn no_depth_is_too_deep() {
        let dir = tempfile::tempdir().expect("a directory");
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).expect("is made");
        let mut at = open(AT_FDCWD, &tree).expect("is opened");
        for _ in 0..20_000 {
            nix::sys::stat::mkdirat(&at, "d", Mode::S_IRWXU).expect("is made");
            at = open(&at, "d").expect("is opened");
        }
        drop(at);
        remove_tree(&tree).expect("is removed");
        assert!(!tree.exists());
    }

    /// As of a module cache of Go, or of an overlay's work directory.
    #[test]
    fn directories_without_rights_are_removed_by_their_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let nobody = Uid::from_raw(65534);
        let is_root = Uid::effective().is_root();
        if is_root {
            chown(dir.path(), Some(nobody), None).expect("is given away");
        }
        let path = dir.path().to_owned();
        // A thread of its own: root loses its rights over files in it.
        let removed = std::thread::spawn(move || {
            if is_root {
                setfsuid(nobody);
            }
            let tree = path.join("tree");
            fs::create_dir_all(tree.join("cache/module")).expect("is made");
            fs::write(tree.join("cache/module/file"), b"x").expect("is written");
            fs::create_dir(tree.join("work")).expect("is made");
            for (name, mode) in [("work", 0), ("cache/module", 0o555), ("cache", 0o555), (".", 0o500)] {
                fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).expect("is changed");
            }
            fs::remove_dir_all(&tree).expect_err("the standard library cannot");
            remove_tree(&tree)
        });
        removed.join().expect("no panic").expect("is removed");
    }
}
