//! Directories of repositories.

use std::path::Path;

use crate::git::error::GitError;

/// Removes a directory with all it holds, if it is there.
pub(super) fn remove_dir(path: &Path) -> Result<(), GitError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes what a packing has left half that was killed.
pub(super) fn remove_half_packs(repository: &Path) {
    let entries = std::fs::read_dir(repository.join("objects/pack")).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("tmp_") || name.starts_with(".tmp-") {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}
