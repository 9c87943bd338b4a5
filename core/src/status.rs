//! The state of a coordinator at a glance, as every face shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Seq;
use crate::ids::{ChangeId, RepoName};
use crate::time::Timestamp;

/// A coordinator: counts by state, its merge queues and its loops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorStatus {
    pub version: String,
    pub started_at: Timestamp,
    /// The number of the newest event.
    pub last_seq: Seq,
    /// The address of plain HTTP.
    pub http: String,
    pub database: String,
    /// Items by stage.
    pub items: BTreeMap<String, u64>,
    /// Workers by state.
    pub workers: BTreeMap<String, u64>,
    /// Changes by state.
    pub changes: BTreeMap<String, u64>,
    /// Outposts by state.
    pub outposts: BTreeMap<String, u64>,
    pub merge_queues: Vec<QueueStatus>,
    pub loops: Vec<LoopStatus>,
}

/// The merge queue of a repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    pub repo: RepoName,
    pub branch: String,
    /// Why it is halted.
    pub halted: Option<String>,
    /// Why the upstream lacks what has landed here.
    #[serde(default)]
    pub upstream_trouble: Option<String>,
    /// The changes in it, the next one first.
    pub changes: Vec<ChangeId>,
    /// Those that wait for a person's approval.
    #[serde(default)]
    pub awaiting_approval: Vec<ChangeId>,
}

crate::words! {
    /// What began a pass of a loop.
    pub enum PassReason as "reason of a pass" {
        Start => "start",
        Notified => "notified",
        Tick => "tick",
    }
}

/// A loop of the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopStatus {
    pub name: String,
    pub passes: u64,
    /// Passes that ended with an error.
    pub failures: u64,
    /// When the pass under way began; none between two passes.
    pub running_since: Option<Timestamp>,
    pub last_pass: Option<LoopPass>,
}

/// A pass that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopPass {
    /// When it began.
    pub at: Timestamp,
    pub reason: PassReason,
    /// In microseconds.
    pub duration_us: u64,
    pub error: Option<String>,
}
