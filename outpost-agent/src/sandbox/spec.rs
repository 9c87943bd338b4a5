//! The confinement of a worker, as data: decided by the agent, written to `exec.json`, applied by the shim.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cgroup::Group;
use super::limits::Limits;

/// Everything that confines one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) mechanisms: Mechanisms,
    /// Parents come before what lies in them.
    pub(crate) grants: Vec<Grant>,
    /// Symbolic links on the way to a grant: where, and what they say.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// An empty directory on which the worker's view of the file system is built.
    pub(crate) stage: PathBuf,
    pub(crate) limits: Limits,
    /// The worker's own control groups, made by the shim.
    pub(crate) cgroups: Vec<Group>,
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
    /// A process namespace: no process but the worker's own has a number in it.
    #[serde(default)]
    pub(crate) processes: bool,
    /// A filter of system calls.
    #[serde(default)]
    pub(crate) filter: bool,
}

/// The kind of mount namespace that is available.
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

/// A step of the confinement that failed: the command must not run.
#[derive(Debug, Error)]
#[error("{step}: {source}")]
pub(crate) struct Unconfined {
    step: String,
    source: io::Error,
}

impl Unconfined {
    pub(super) fn at(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self { step, source }
    }

    pub(super) fn filter(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::at("refusing system calls")(io::Error::other(error))
    }
}
