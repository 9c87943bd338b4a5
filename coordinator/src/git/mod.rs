//! The coordinator's bare repositories: objects and refs through git2, merges and
//! transport through the `git` program.

mod ancestry;
mod archive;
mod attributes;
pub mod commands;
mod contention;
mod differences;
mod directory;
mod error;
mod history;
mod housekeeping;
mod leftovers;
mod lfs;
mod merge_tree;
mod obstacle;
mod personal;
mod program;
mod repos;
mod repository;
mod settings;
mod signing;
mod submodules;
mod tree_rules;
mod upstream;

pub use archive::Refs;
pub use commands::RefUpdate;
pub use error::{GitError, OLDEST_GIT};
pub use history::{NewCommit, Parting};
pub use lfs::{LfsServer, LfsStore, SERVER_FILE as LFS_SERVER_FILE, is_refusal};
pub use merge_tree::Merged;
pub use repos::GitRepos;
pub use repository::{CompareAndSwap, GitRepo};
pub use signing::check_key;
pub use submodules::{MissingSubmodule, Submodule};
pub use upstream::{Fetched, Pushed};
