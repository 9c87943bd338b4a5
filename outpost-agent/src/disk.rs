//! Files that survive a crash, and how much room is left for them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::path::Path;

/// Below this many free bytes a disk counts as full: git and logs fail next.
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

/// Bytes that an ordinary user can still write to the file system of `path`.
///
/// # Errors
/// Those of `statvfs`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

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

/// Removes a directory tree by renaming it into `trash` first, so that a half
/// deleted tree is never mistaken for a whole one.
///
/// # Errors
/// Those of the rename; what cannot be deleted afterwards stays in `trash`.
pub(crate) fn discard(path: &Path, trash: &Path) -> io::Result<()> {
    fs::create_dir_all(trash)?;
    let name = format!("{:016x}", fastrand::u64(..));
    let target = trash.join(name);
    match fs::rename(path, &target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Err(error) = fs::remove_dir_all(&target) {
        tracing::warn!(path = %target.display(), %error, "a removed directory could not be deleted completely");
    }
    Ok(())
}
