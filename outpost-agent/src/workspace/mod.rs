//! Code on the outpost: a mirror for each repo, a worktree for each worker.
//!
//! Everything in a mirror comes from the coordinator. What a worker makes stays in its own
//! directory, and leaves it as a stream of objects that its own confinement has packed.

mod error;
pub(crate) mod extras;
pub(crate) mod fingerprint;
pub(crate) mod furnish;
pub(crate) mod git;
mod large;
mod lfs;
pub(crate) mod locks;
mod made_objects;
mod mirror;
mod nested;
pub(crate) mod own_git;
pub(crate) mod personal;
mod pool;
mod refs;
pub(crate) mod remote;
mod repositories;
pub(crate) mod save;
pub(crate) mod scratch;
mod stamp;
pub(crate) mod submodules;
mod tree;
mod untouched;

pub(crate) use repositories::Repositories;
