use std::collections::BTreeMap;
use std::time::Duration;

use crate::address::RepoAddress;
use crate::committing::CommittingPatch;
use crate::gates::Gate;
use crate::ids::RepoName;
use crate::job::Role;
use crate::repo::{Filing, NothingToDo, Resume, UpstreamChoice};
use crate::runtime::Runtime;

/// A repo to be added.
#[derive(Debug, Clone)]
pub struct NewRepo {
    pub name: RepoName,
    pub url: RepoAddress,
    pub branch: Option<String>,
    pub run: BTreeMap<Role, String>,
    pub runtimes: BTreeMap<Role, Runtime>,
    pub max_attempts: Option<u32>,
    pub limits: BTreeMap<Role, u32>,
    pub gates: Vec<Gate>,
    pub workers: WorkerSettings,
    pub committing: CommittingPatch,
    /// Whether a branch may be pushed to the upstream, and deleted there, to find out whether that works.
    pub probe: bool,
}

/// How workers of a repo start and how long they may take; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct WorkerSettings {
    pub resume: Option<Resume>,
    pub nothing_to_do: Option<NothingToDo>,
    pub filing: Option<Filing>,
    pub max_duration: Option<Duration>,
    /// `Some(None)`: no limit.
    pub hung_after: Option<Option<Duration>>,
}

/// A change of a repo's settings; an absent field stays as it is.
#[derive(Debug, Clone)]
pub struct RepoPatch {
    pub name: RepoName,
    /// An empty command line takes a role's away.
    pub run: BTreeMap<Role, String>,
    pub runtimes: BTreeMap<Role, Runtime>,
    pub max_attempts: Option<u32>,
    /// A limit of 0 takes a role's away.
    pub limits: BTreeMap<Role, u32>,
    pub gates: Option<Vec<Gate>>,
    pub workers: WorkerSettings,
    pub committing: CommittingPatch,
    /// How to go on after the upstream was rewritten.
    pub upstream: Option<UpstreamChoice>,
    /// The branch that work lands on from now on.
    pub branch: Option<String>,
    /// `Some(None)` lets the merge queue go on.
    pub halted: Option<Option<String>>,
    /// `Some(None)`: lands again.
    pub frozen: Option<Option<String>>,
}
