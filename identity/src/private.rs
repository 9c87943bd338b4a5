//! Files for their owner's eyes only.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Makes a directory that only its owner may enter, with those above it.
///
/// # Errors
/// Those of the file system.
pub fn make_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file with mode 0600, whole or not at all, also over a power cut.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().ok_or_else(|| io::Error::other("it has no directory"))?;
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?.to_string_lossy();
    let fresh = parent.join(format!(".{name}.{}", std::process::id()));
    // One that a killed process left may have another mode.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let (keys, path) = (dir.path().join("a/keys"), dir.path().join("a/keys/key.pem"));
        make_dir(&keys).expect("is made");
        write(&path, b"one").expect("is written");
        write(&path, b"two").expect("is written again");
        assert_eq!(fs::read(&path).expect("is read"), b"two");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&path)), (0o700, 0o600));
    }
}
