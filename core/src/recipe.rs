//! How a workspace is made ready: `[workspace]` of `sprint.toml`, or what other programs' files say.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::gates::{duration_text, several};

mod foreign;

pub use foreign::{WORKTREE_FILES, foreign};

/// The longest that a setup or a teardown takes where nobody says.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// What a workspace needs besides what git checks out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// A command line that runs before the worker's own; empty: none.
    pub setup: String,
    /// A command line that runs when the worker's own have ended; empty: none.
    pub teardown: String,
    /// The longest that either may take.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// Files that git ignores, to be copied from the outpost: patterns as in `.gitignore`.
    pub bring: Vec<String>,
    /// Directories that outlive the workspace.
    pub cache: Vec<Cache>,
    /// Set when it is another program's: what that calls its variables by, such as `CONDUCTOR`.
    pub variables: Option<String>,
    /// What could not be read of it, for the worker's terminal.
    pub notes: Vec<String>,
}

/// A directory that a setup fills, and that later workspaces begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// From the root of the repository.
    pub path: String,
    /// The files on which its content depends: patterns of git's.
    #[serde(deserialize_with = "several::deserialize")]
    pub key: Vec<String>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            setup: String::new(),
            teardown: String::new(),
            timeout: DEFAULT_TIMEOUT,
            bring: vec![],
            cache: vec![],
            variables: None,
            notes: vec![],
        }
    }
}

/// Why a recipe cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRecipe {
    #[error("workspace.timeout is 0; name a time such as \"10m\"")]
    NoTime,
    #[error(
        "workspace.cache: {path:?} is no directory within the repository; write it as a path from its root, such as \"node_modules\""
    )]
    CachePath { path: String },
    #[error(
        "workspace.cache: {path:?} has no key; name the files on which its content depends, such as \"package-lock.json\""
    )]
    CacheKey { path: String },
    #[error("workspace.cache: {path:?} is named twice, or lies in another")]
    CacheTwice { path: String },
    #[error("workspace.cache needs workspace.setup: only a setup fills it")]
    CacheWithoutSetup,
    #[error("workspace.bring: a pattern is empty, or has a line end or a NUL")]
    Bring,
}

impl Recipe {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.setup.is_empty()
            && self.teardown.is_empty()
            && self.bring.is_empty()
            && self.cache.is_empty()
            && self.notes.is_empty()
    }

    /// Checks what was written by hand.
    ///
    /// # Errors
    /// [`InvalidRecipe`], for the first mistake.
    pub fn validate(&self) -> Result<(), InvalidRecipe> {
        if self.timeout.is_zero() {
            return Err(InvalidRecipe::NoTime);
        }
        if self.bring.iter().any(|pattern| pattern.trim().is_empty() || pattern.contains(['\n', '\r', '\0'])) {
            return Err(InvalidRecipe::Bring);
        }
        if !self.cache.is_empty() && self.setup.is_empty() {
            return Err(InvalidRecipe::CacheWithoutSetup);
        }
        for (number, Cache { path, key }) in self.cache.iter().enumerate() {
            if !is_within(path) {
                return Err(InvalidRecipe::CachePath { path: path.clone() });
            }
            if key.is_empty() || key.iter().any(|pattern| pattern.is_empty() || pattern.contains('\0')) {
                return Err(InvalidRecipe::CacheKey { path: path.clone() });
            }
            let lies_in = |one: &str, other: &str| format!("{one}/").starts_with(&format!("{other}/"));
            if self.cache[..number].iter().any(|other| lies_in(path, &other.path) || lies_in(&other.path, path)) {
                return Err(InvalidRecipe::CacheTwice { path: path.clone() });
            }
        }
        Ok(())
    }
}

/// Whether it is a path of ordinary names from the root of a repository, and not git's own.
fn is_within(path: &str) -> bool {
    let mut parts = path.split('/');
    let ordinary = |part: &str| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git");
    !path.contains(['\0', '\\']) && parts.all(ordinary)
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
