//! Programs of this host, as the agent finds them.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::environment;

/// The directories of the agent's `PATH`.
pub(crate) fn path() -> Vec<PathBuf> {
    let path = environment::plain().into_iter().find(|(key, _)| *key == "PATH");
    path.map(|(_, value)| std::env::split_paths(&value).collect()).unwrap_or_default()
}

/// The home directory of the agent's user.
pub(crate) fn home() -> Option<PathBuf> {
    environment::plain().into_iter().find(|(key, _)| *key == "HOME").map(|(_, home)| home.into())
}

pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// Where a program is: on `PATH`, or at the path that its name is.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    path().into_iter().map(|directory| directory.join(name)).find(|path| is_program(path))
}
