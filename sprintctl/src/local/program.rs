//! The programs that this host runs.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A program with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<String>,
    /// A variable that nobody else is to see.
    pub(crate) secret: Option<(&'static str, String)>,
}

/// Finds one of our programs: beside this one, or on the search path.
///
/// # Errors
/// It is in neither.
pub(crate) fn find(name: &str) -> Result<PathBuf, Failure> {
    let here = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = here.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(name));
    places.find(|place| place.is_file()).ok_or_else(|| {
        Failure::new("client.local", format!("{name} is neither beside sprintctl nor on PATH"))
            .with_next("install all three programs: make install")
    })
}
