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
