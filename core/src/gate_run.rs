//! One gate of a trial, and where it stands.

use serde::{Deserialize, Serialize};

use crate::gates::{Gate, GateVerdict};
use crate::ids::{OutpostName, WorkerId};
use crate::time::Timestamp;

crate::words! {
    /// The name of a gate run's state, without what the state holds.
    pub enum RunStateName as "state of a gate" {
        Waiting => "waiting",
        Running => "running",
        Passed => "passed",
        Failed => "failed",
        Cancelled => "cancelled",
    }
}

/// Where one gate of a trial stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "snake_case")]
pub enum RunState {
    /// For the stage before it, for a slot, or for a pause to end.
    Waiting {
        not_before: Option<Timestamp>,
    },
    Running {
        worker: WorkerId,
    },
    Passed,
    Failed,
    /// It is not needed any more.
    Cancelled,
}

impl RunState {
    pub const fn name(&self) -> RunStateName {
        match self {
            Self::Waiting { .. } => RunStateName::Waiting,
            Self::Running { .. } => RunStateName::Running,
            Self::Passed => RunStateName::Passed,
            Self::Failed => RunStateName::Failed,
            Self::Cancelled => RunStateName::Cancelled,
        }
    }
}

/// One gate of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateRun {
    pub gate: Gate,
    #[serde(flatten)]
    pub state: RunState,
    /// How often it failed so far.
    pub failures: u32,
    /// Runs that infrastructure ended, in a row; sets the pause before the next.
    pub losses: u32,
    /// How often it timed out, or its command was not found.
    pub excuses: u32,
    /// The outposts where that happened; others are tried first.
    pub avoid: Vec<OutpostName>,
    /// It failed and then passed, on the same tree.
    pub flaky: bool,
    /// What its last run came to.
    pub verdict: Option<GateVerdict>,
}

impl GateRun {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            gate,
            state: RunState::Waiting { not_before: None },
            failures: 0,
            losses: 0,
            excuses: 0,
            avoid: vec![],
            flaky: false,
            verdict: None,
        }
    }

    pub const fn worker(&self) -> Option<WorkerId> {
        match self.state {
            RunState::Running { worker } => Some(worker),
            RunState::Waiting { .. } | RunState::Passed | RunState::Failed | RunState::Cancelled => None,
        }
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.state, RunState::Waiting { .. })
    }
}
