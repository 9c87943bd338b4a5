//! A worker: one agent at work on an outpost.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Refused;
use crate::agent::AgentSaid;
use crate::event::{EventKind, Recorded, details};
use crate::ids::{CommitId, OutpostName, RepoName, WorkerId};
use crate::job::{EarlierWork, Job};
use crate::note::{NoteCount, ProgressSaid};
use crate::time::Timestamp;

crate::words! {
    /// The name of a worker's state, without what the state holds.
    pub enum WorkerStateName as "worker state" {
        Assigned => "assigned",
        Starting => "starting",
        Running => "running",
        Finishing => "finishing",
        Done => "done",
        Failed => "failed",
        Lost => "lost",
    }
}

/// The life of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WorkerState {
    /// Decided by the coordinator; the outpost has not answered yet.
    Assigned,
    /// The outpost took it and prepares its workspace.
    Starting,
    /// Its command runs.
    Running,
    /// Its command ended; its work is being saved.
    Finishing {
        exit_code: Option<i32>,
    },
    Done {
        exit_code: Option<i32>,
    },
    Failed {
        exit_code: Option<i32>,
        reason: String,
    },
    /// It is gone, and how it ended is unknown.
    Lost {
        reason: String,
    },
}

impl WorkerState {
    pub const fn name(&self) -> WorkerStateName {
        match self {
            Self::Assigned => WorkerStateName::Assigned,
            Self::Starting => WorkerStateName::Starting,
            Self::Running => WorkerStateName::Running,
            Self::Finishing { .. } => WorkerStateName::Finishing,
            Self::Done { .. } => WorkerStateName::Done,
            Self::Failed { .. } => WorkerStateName::Failed,
            Self::Lost { .. } => WorkerStateName::Lost,
        }
    }

    /// Whether it still holds a slot of its outpost.
    pub const fn is_live(&self) -> bool {
        match self {
            Self::Assigned | Self::Starting | Self::Running | Self::Finishing { .. } => true,
            Self::Done { .. } | Self::Failed { .. } | Self::Lost { .. } => false,
        }
    }
}

/// Where a live worker's terminal can be reached on its own host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The host's boot id, which tells whether a person is on the same host.
    pub boot_id: String,
    pub tmux_socket: String,
    pub tmux_session: String,
}

/// One agent at work: a job, an outpost, a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub id: WorkerId,
    pub repo: RepoName,
    /// What it is for.
    pub job: Job,
    pub outpost: OutpostName,
    #[serde(flatten)]
    pub state: WorkerState,
    /// The commit that its workspace starts from.
    pub base: CommitId,
    /// Earlier work that its workspace starts with.
    #[serde(default)]
    pub resumed: Option<EarlierWork>,
    /// The reason of the request to end it, if there is one.
    pub stop_reason: Option<String>,
    pub terminal: Option<Terminal>,
    pub assigned_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The newest report of the outpost that was applied; older ones are repeats.
    pub report_seq: u64,
    /// The size of its whole terminal log, once it ended.
    pub log_bytes: Option<u64>,
    /// What its agent has said of itself.
    #[serde(default)]
    pub agent: Option<Box<AgentSaid>>,
    /// How far it is, by its own word.
    #[serde(default)]
    pub progress: Option<ProgressSaid>,
    #[serde(default)]
    pub notes: NoteCount,
}

crate::noun!(Worker, "worker", "number");

/// What happens to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerEvent {
    Accepted,
    Started {
        terminal: Option<Terminal>,
    },
    Exited {
        exit_code: Option<i32>,
    },
    /// Its work is saved, and it ended as it should.
    Completed {
        exit_code: Option<i32>,
    },
    /// Its work is saved, and it ended otherwise.
    Failed {
        exit_code: Option<i32>,
        reason: String,
    },
    Lost {
        reason: String,
    },
    /// It is requested to end.
    StopRequested {
        reason: String,
    },
}

impl EventKind {
    pub const WORKER_ASSIGNED: Self = Self::new("worker_assigned");
    pub const WORKER_SENT_BACK: Self = Self::new("worker_sent_back");
    /// Its agent has said what it took of each model.
    pub const WORKER_USAGE: Self = Self::new("worker_usage");
    /// A worker left more than the commits that it handed over.
    pub const WORK_LEFT: Self = Self::new("work_left");
}

impl Recorded for WorkerEvent {
    const ENTITY: &'static str = "worker";

    fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Started { .. } => "started",
            Self::Exited { .. } => "exited",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Lost { .. } => "lost",
            Self::StopRequested { .. } => "stop_requested",
        }
    }

    fn data(&self) -> Value {
        match self {
            // Where the terminal is does not matter to the record.
            Self::Started { .. } => json!({}),
            Self::Accepted
            | Self::Exited { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Lost { .. }
            | Self::StopRequested { .. } => details(self),
        }
    }
}

/// What must be carried out because a worker took an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerEffect {
    /// Tell its outpost to end it, saving its work.
    Stop,
    /// Its slot is free: wake the scheduler.
    FreeSlot,
}

impl Worker {
    /// Applies `event` and returns the effects it demands.
    ///
    /// # Errors
    /// [`Refused::Illegal`] when the state does not accept `event`; `self` is unchanged.
    pub fn apply(&mut self, event: WorkerEvent, now: Timestamp) -> Result<Vec<WorkerEffect>, Refused> {
        let effects = match (&self.state, event) {
            (WorkerState::Assigned, WorkerEvent::Accepted) => {
                self.state = WorkerState::Starting;
                vec![]
            }
            (WorkerState::Starting, WorkerEvent::Started { terminal }) => {
                self.state = WorkerState::Running;
                self.terminal = terminal;
                self.started_at = Some(now);
                vec![]
            }
            (WorkerState::Running, WorkerEvent::Exited { exit_code }) => {
                self.state = WorkerState::Finishing { exit_code };
                vec![]
            }
            // Sent back with feedback: the command runs again in the same workspace.
            (WorkerState::Finishing { .. }, WorkerEvent::Started { terminal }) => {
                self.state = WorkerState::Running;
                self.terminal = terminal;
                vec![]
            }
            (WorkerState::Finishing { .. }, WorkerEvent::Completed { exit_code }) => {
                self.state = WorkerState::Done { exit_code };
                self.end(now)
            }
            (
                WorkerState::Assigned | WorkerState::Starting | WorkerState::Running | WorkerState::Finishing { .. },
                WorkerEvent::Failed { exit_code, reason },
            ) => {
                self.state = WorkerState::Failed { exit_code, reason };
                self.end(now)
            }
            (
                WorkerState::Assigned | WorkerState::Starting | WorkerState::Running | WorkerState::Finishing { .. },
                WorkerEvent::Lost { reason },
            ) => {
                self.state = WorkerState::Lost { reason };
                self.end(now)
            }
            (
                WorkerState::Assigned | WorkerState::Starting | WorkerState::Running | WorkerState::Finishing { .. },
                WorkerEvent::StopRequested { reason },
            ) => {
                self.stop_reason = Some(reason);
                vec![WorkerEffect::Stop]
            }
            (state, event) => {
                return Err(Refused::Illegal { entity: "worker", state: state.name().as_str(), event: event.name() });
            }
        };
        Ok(effects)
    }

    /// Whether its outpost must get a message about it: it is to begin there, or to end.
    pub const fn is_to_be_told(&self) -> bool {
        self.state.is_live() && (matches!(self.state, WorkerState::Assigned) || self.stop_reason.is_some())
    }

    fn end(&mut self, now: Timestamp) -> Vec<WorkerEffect> {
        self.terminal = None;
        self.ended_at = Some(now);
        vec![WorkerEffect::FreeSlot]
    }

    pub const fn exit_code(&self) -> Option<i32> {
        match &self.state {
            WorkerState::Finishing { exit_code }
            | WorkerState::Done { exit_code }
            | WorkerState::Failed { exit_code, .. } => *exit_code,
            WorkerState::Assigned | WorkerState::Starting | WorkerState::Running | WorkerState::Lost { .. } => None,
        }
    }

    pub fn reason(&self) -> &str {
        match &self.state {
            WorkerState::Failed { reason, .. } | WorkerState::Lost { reason } => reason,
            WorkerState::Assigned
            | WorkerState::Starting
            | WorkerState::Running
            | WorkerState::Finishing { .. }
            | WorkerState::Done { .. } => self.stop_reason.as_deref().unwrap_or(""),
        }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
