//! What keeps a worker in: its own directory, and of the host only what it needs to read.
//!
//! The agent decides once what this host can do ([`host`]) and for each worker
//! what it may touch ([`policy`]); the decision travels in `exec.json`. The shim
//! applies it to each command between fork and exec ([`Sandbox::confine`]).
//! `docs/decisions/0006-workers-are-confined.md` says what is promised.

pub(crate) mod cgroup;
pub(crate) mod host;
pub(crate) mod policy;
mod process;
mod rules;
mod view;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Everything that confines one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) mechanisms: Mechanisms,
    /// Parents come before what lies in them.
    pub(crate) grants: Vec<Grant>,
    /// Symbolic links on the way to a grant: where, and what they say.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// An empty directory that the worker's view of the file system is built on.
    pub(crate) stage: PathBuf,
    pub(crate) limits: Limits,
    /// The worker's own control groups, made by the shim.
    pub(crate) cgroups: Vec<cgroup::Group>,
}

/// Which of the kernel's means are used: those that worked when the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mechanisms {
    /// The version of Landlock's interface.
    pub(crate) landlock: Option<i32>,
    /// A file system of its own, which holds nothing but the grants.
    pub(crate) view: Option<Namespace>,
    /// Overlays, so that a change to a shared directory stays the worker's own.
    pub(crate) layers: bool,
}

/// How a mount namespace can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Namespace {
    /// By privilege.
    Mount,
    /// Inside a user namespace.
    User,
}

/// A path and what a worker may do with it and everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    /// Its names are seen, sockets in it can be connected to; no file can be opened.
    Named,
    /// Read and executed.
    Read,
    Write,
    /// In its place stands a directory of the worker's own.
    Private {
        source: PathBuf,
    },
    /// Read, and written to a layer (`upper`, `work`) of the worker's own.
    Layered {
        layer: PathBuf,
    },
    /// Empty, though it lies in something that may be read.
    Hidden,
}

/// The most that one worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) processes: u64,
    /// Bytes; none means as much as the host has.
    pub(crate) memory: Option<u64>,
    pub(crate) open_files: u64,
}

/// A step of the confinement that failed: the command must not run.
#[derive(Debug, Error)]
#[error("{step}: {source}")]
pub(crate) struct Unconfined {
    step: String,
    source: io::Error,
}

impl Unconfined {
    fn at(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self { step, source }
    }
}

impl Sandbox {
    /// Confines this process and all that it will start, and goes to `cwd`.
    ///
    /// For a process with one thread, right before it becomes the worker's command.
    ///
    /// # Errors
    /// [`Unconfined`]; the process is then in between and must end.
    pub(crate) fn confine(&self, cwd: &Path) -> Result<(), Unconfined> {
        process::offer_to_the_oom_killer();
        nix::sys::prctl::set_no_new_privs().map_err(|error| Unconfined::at("no_new_privs")(error.into()))?;
        if let Some(namespace) = self.mechanisms.view {
            view::enter(self, namespace)?;
        }
        process::limit(&self.limits, &self.cgroups, self.mechanisms)?;
        std::env::set_current_dir(cwd).map_err(Unconfined::at(format!("going to {}", cwd.display())))?;
        process::close_inherited_files()?;
        process::drop_capabilities(self.mechanisms)?;
        if self.mechanisms.landlock.is_some() {
            rules::restrict(self)?;
        }
        Ok(())
    }
}
