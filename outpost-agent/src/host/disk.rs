//! Files that survive a crash, and how much room is left for them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use sprint_failpoint::{Point, pass};

use super::removal::remove_tree;

/// How often the agent may have ended while it deleted something.
const REMOVALS: u32 = 3;

/// Below this many free bytes a disk is treated as full: git and logs fail next.
const FULL: u64 = 1 << 20;

/// Whether a file must be on the disk before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Survives the end of this process, not a power cut.
    Process,
    /// Survives a power cut.
    Power,
}

/// Replaces a file in one step: a reader sees the old content or the new.
///
/// # Errors
/// Those of the file system; the old content is then still there.
pub(crate) fn write_atomic(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        if durability == Durability::Power {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    })();
    if let Err(error) = written {
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    if durability == Durability::Power
        && let Some(parent) = path.parent()
    {
        sync_dir(parent)?;
    }
    Ok(())
}

/// Makes the names in a directory survive a power cut.
///
/// # Errors
/// Those of the file system.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory whose entries ext4 places apart from each other, as it does at the top of a file system.
///
/// Otherwise a new tree is placed beside the last one, and where that has been removed, ext4 searches for each inode
/// past all that were freed within the last minute: a tree of 200 files takes 25 to 45 ms instead of 6 ms. Other file
/// systems know no such flag and need none.
///
/// # Errors
/// The directory cannot be made.
pub(crate) fn make_spreading_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let directory = File::open(path)?;
    if let Ok(flags) = ioctl_getflags(&directory) {
        ioctl_setflags(&directory, flags | IFlags::TOPDIR).ok();
    }
    Ok(())
}

/// Bytes that an ordinary user can still write to the file system of `path`.
///
/// # Errors
/// Those of `statvfs`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    total_and_free_bytes(path).map(|(_, free)| free)
}

/// The size of the file system of `path`, and what an ordinary user can still write to it.
///
/// # Errors
/// Those of `statvfs`.
pub(crate) fn total_and_free_bytes(path: &Path) -> io::Result<(u64, u64)> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    Ok((bytes(stat.blocks()), bytes(stat.blocks_available())))
}

/// Lists a directory below another, which may be changing: no link is followed on the way.
///
/// # Errors
/// Those of the file system.
pub(crate) fn list_below(root: &File, path: &Path) -> io::Result<fs::ReadDir> {
    list(&open_below(root, path)?)
}

fn open_below(root: &File, path: &Path) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let name = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(File::from(openat2(root, name, how)?))
}

/// By its descriptor: its name may lead elsewhere by now.
fn list(dir: &File) -> io::Result<fs::ReadDir> {
    fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))
}

/// What a directory holds, in bytes on the disk; unreadable entries count as 0.
///
/// # Errors
/// There is no such directory.
pub(crate) fn used_bytes(path: &Path) -> io::Result<u64> {
    let mut used = 0;
    let mut open = vec![(Rc::new(File::open(path)?), PathBuf::new(), 0)];
    while let Some((root, dir, hops)) = open.pop() {
        let Ok(here) = open_below(&root, &dir) else { continue };
        let here = Rc::new(here);
        for entry in list(&here).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            used += data.blocks() * 512;
            if !data.is_dir() {
                continue;
            }
            let below = dir.join(entry.file_name());
            if below.as_os_str().len() <= LONG_PATH {
                open.push((Rc::clone(&root), below, hops));
            } else if hops < HOPS {
                open.push((Rc::clone(&here), PathBuf::from(entry.file_name()), hops + 1));
            }
        }
    }
    Ok(used)
}

/// The length at which a path goes on from a directory on its way, since the system takes none of 4,096 bytes; and how
/// often: each time holds a file open.
const LONG_PATH: usize = 3_000;
const HOPS: usize = 256;

/// Whether next to nothing can be written to the file system of `path`.
pub(crate) fn is_full(path: &Path) -> bool {
    free_bytes(path).is_ok_and(|free| free < FULL)
}

/// Whether an error says that the disk is full.
pub(crate) fn says_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reserves room in a file, so that a disk that fills up later cannot prevent a write.
///
/// # Errors
/// Those of `posix_fallocate`.
pub(crate) fn reserve<F: AsFd>(file: F, bytes: i64) -> io::Result<()> {
    Ok(nix::fcntl::posix_fallocate(file, 0, bytes)?)
}

/// Removes a directory with what is in it, or the file or link that is in its place, if it is there.
///
/// # Errors
/// Those of the file system.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => fs::remove_file(path),
        Ok(_) => remove_tree(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Renames a directory, if it is there, and makes the directory around its new name.
///
/// # Errors
/// Those of the file system.
pub(crate) fn set_aside(path: &Path, target: &Path) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::rename(path, target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a directory tree by renaming it into `trash` first, so that a half
/// deleted tree is never mistaken for a whole one.
///
/// # Errors
/// Those of the rename; what cannot be deleted afterwards stays in `trash`.
pub(crate) fn discard(path: &Path, trash: &Path) -> io::Result<()> {
    let target = trash.join(format!("{:016x}", fastrand::u64(..)));
    set_aside(path, &target)?;
    pass(Point::RemoveAfter);
    if let Err(error) = remove_dir(&target) {
        tracing::warn!(path = %target.display(), %error, "a removed directory could not be deleted completely");
    }
    Ok(())
}

/// What an earlier run did not come to delete. To be read before this run discards anything: two that delete the same
/// tree come to no end.
pub(crate) fn left_in_trash(trash: &Path) -> Vec<PathBuf> {
    fs::read_dir(trash).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Deletes what an earlier run has left in the trash. What several runs have ended in is kept instead.
pub(crate) fn empty_trash(left: &[PathBuf], trash: &Path, kept: &Path) {
    empty_with(left, trash, kept, remove_dir);
}

fn empty_with(left: &[PathBuf], trash: &Path, kept: &Path, remove: impl Fn(&Path) -> io::Result<()>) {
    for path in left {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let (bare, tries) = name.rsplit_once('.').unwrap_or((name, "0"));
        let tries: u32 = tries.parse().unwrap_or(0);
        let target = if tries < REMOVALS { trash.join(format!("{bare}.{}", tries + 1)) } else { kept.join(bare) };
        if let Err(error) = set_aside(path, &target) {
            tracing::warn!(path = %path.display(), %error, "what is to be deleted cannot be renamed");
            continue;
        }
        if tries >= REMOVALS {
            tracing::error!(kept = %target.display(), "agents have ended while they deleted this; it is kept");
        } else if let Err(error) = remove(&target) {
            tracing::warn!(path = %path.display(), %error, "this cannot be deleted; the next start tries again");
            // The agent lives, so this start does not count.
            set_aside(&target, path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs::{EXT4_SUPER_MAGIC, fstatfs};

    use super::*;

    #[test]
    fn only_starts_that_ended_in_a_removal_count_against_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (trash, kept) = (dir.path().join("trash"), dir.path().join("kept"));
        let names = |path: &Path| {
            let all = left_in_trash(path);
            all.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect::<Vec<_>>()
        };
        fs::create_dir_all(trash.join("tree/inner")).expect("is made");
        for _ in 0..=REMOVALS {
            empty_with(&left_in_trash(&trash), &trash, &kept, |_| Err(io::Error::other("busy")));
            assert_eq!(names(&trash), ["tree"]);
        }
        for tries in 1..=REMOVALS {
            let ends = || empty_with(&left_in_trash(&trash), &trash, &kept, |_| panic!("the agent ends"));
            std::panic::catch_unwind(ends).expect_err("the agent has ended");
            assert_eq!(names(&trash), [format!("tree.{tries}")]);
        }
        empty_with(&left_in_trash(&trash), &trash, &kept, |_| panic!("is not touched again"));
        assert_eq!((names(&trash), names(&kept)), (vec![], vec!["tree".to_owned()]));
    }

    #[test]
    fn what_lies_deep_is_counted_as_well() {
        let dir = tempfile::tempdir().expect("a directory");
        let before = used_bytes(dir.path()).expect("is there");
        let mut at = File::open(dir.path()).expect("is there");
        // 20,000 bytes deep, which no path can name.
        for _ in 0..100 {
            let name = "d".repeat(200);
            nix::sys::stat::mkdirat(&at, name.as_str(), nix::sys::stat::Mode::S_IRWXU).expect("is made");
            at = open_below(&at, Path::new(&name)).expect("is there");
        }
        fs::write(format!("/proc/self/fd/{}/large", at.as_raw_fd()), vec![1; 1 << 20]).expect("is written");
        let used = used_bytes(dir.path()).expect("is there") - before;
        assert!(used >= 1 << 20, "{used}");
        remove_dir(dir.path()).expect("is removed");
    }

    #[test]
    fn what_lies_where_a_directory_should_be_is_discarded_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let trash = dir.path().join("trash");
        fs::create_dir(dir.path().join("elsewhere")).expect("is made");
        fs::write(dir.path().join("file"), b"").expect("is written");
        std::os::unix::fs::symlink("elsewhere", dir.path().join("link")).expect("is made");
        for name in ["file", "link", "missing"] {
            discard(&dir.path().join(name), &trash).expect("is discarded");
            assert!(!dir.path().join(name).exists());
        }
        assert_eq!(left_in_trash(&trash), Vec::<PathBuf>::new());
        assert!(dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_directory_of_trees_is_made_once_and_spreads_them_where_that_is_ext4() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("warm/web");
        for _ in 0..2 {
            make_spreading_dir(&path).expect("is made, or is there");
        }
        let made = File::open(&path).expect("is there");
        if fstatfs(&made).expect("a file system").filesystem_type() == EXT4_SUPER_MAGIC {
            assert!(ioctl_getflags(&made).expect("has flags").contains(IFlags::TOPDIR));
        }
        fs::write(dir.path().join("file"), b"").expect("is written");
        assert!(make_spreading_dir(&dir.path().join("file/below")).is_err());
    }
}
