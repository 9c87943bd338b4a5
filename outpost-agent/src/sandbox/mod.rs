//! The confinement of a worker: its own directory, and the parts of the host that it needs to read.
//!
//! The agent decides once what this host can do ([`probe`]) and for each worker
//! what it may touch ([`policy`]); the decision travels in `exec.json`. The shim
//! applies it to each command between fork and exec ([`Sandbox::confine`]).
//! `docs/decisions/0006-workers-are-confined.md` says what is promised.

pub(crate) mod cgroup;
mod confinement;
mod grants;
mod host_paths;
mod limits;
pub(crate) mod policy;
pub(crate) mod probe;
mod process;
mod processes;
pub(crate) mod programs;
mod rules;
mod spec;
mod syscalls;
mod view;

pub(crate) use confinement::Begun;
pub(crate) use limits::Limits;
pub(crate) use processes::{fork_here, quit};
pub(crate) use spec::{Access, Grant, Mechanisms, Sandbox};
