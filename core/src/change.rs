//! A change: a branch's entry in the merge queue.

use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::gates::Gate;
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use crate::time::Timestamp;

crate::words! {
    /// The name of a change's state, without what the state holds.
    pub enum ChangeStateName as "change state" {
        Queued => "queued",
        Gating => "gating",
        Landing => "landing",
        Landed => "landed",
        Failed => "failed",
        Conflicted => "conflicted",
    }
}

/// The merge commit built for a change: what is gated, and exactly what lands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub commit: CommitId,
    pub tree: TreeId,
    /// The tip of the target branch that it was built on.
    pub base: CommitId,
    /// The gates it must pass, as the target branch had them at `base`.
    pub gates: Vec<Gate>,
}

/// Where a change stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ChangeState {
    Queued,
    /// Its candidate's gates run, or wait for a slot while `worker` is none.
    Gating {
        candidate: Candidate,
        worker: Option<WorkerId>,
    },
    /// The intent to move the branch from `candidate.base` to `candidate.commit` is on record.
    Landing {
        candidate: Candidate,
    },
    Landed {
        candidate: Candidate,
    },
    Failed {
        reason: String,
    },
    Conflicted {
        paths: Vec<String>,
    },
}

impl ChangeState {
    pub const fn name(&self) -> ChangeStateName {
        match self {
            Self::Queued => ChangeStateName::Queued,
            Self::Gating { .. } => ChangeStateName::Gating,
            Self::Landing { .. } => ChangeStateName::Landing,
            Self::Landed { .. } => ChangeStateName::Landed,
            Self::Failed { .. } => ChangeStateName::Failed,
            Self::Conflicted { .. } => ChangeStateName::Conflicted,
        }
    }

    /// Whether it is still in the queue.
    pub const fn is_pending(&self) -> bool {
        match self {
            Self::Queued | Self::Gating { .. } | Self::Landing { .. } => true,
            Self::Landed { .. } | Self::Failed { .. } | Self::Conflicted { .. } => false,
        }
    }
}

/// A branch's entry in the merge queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub id: ChangeId,
    pub repo: RepoName,
    pub item: ItemId,
    pub attempt: Attempt,
    /// The last commit of the attempt.
    pub head: CommitId,
    #[serde(flatten)]
    pub state: ChangeState,
    /// Gate runs that infrastructure ended, in a row; sets the pause before the next.
    pub losses: u32,
    pub not_before: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What happens to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeEvent {
    /// Its candidate was built, and has gates to pass.
    Gated {
        candidate: Candidate,
    },
    /// An outpost was found to run the gates.
    GateAssigned {
        worker: WorkerId,
    },
    /// All gates passed for exactly this commit and tree.
    GatesPassed {
        commit: CommitId,
        tree: TreeId,
    },
    GatesFailed {
        reason: String,
    },
    /// Infrastructure ended the gate run; nobody is blamed.
    GatesLost {
        reason: String,
        retry_at: Timestamp,
    },
    /// Its candidate was built, and no gate is configured.
    Ungated {
        candidate: Candidate,
    },
    /// The merge with the tip does not go by itself.
    Conflicted {
        paths: Vec<String>,
    },
    /// The tip is no longer the candidate's base.
    TipMoved,
    /// The branch holds the candidate.
    Landed,
    Dropped {
        reason: String,
    },
    Retried,
}

impl ChangeEvent {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Gated { .. } => "gated",
            Self::GateAssigned { .. } => "gate_assigned",
            Self::GatesPassed { .. } => "gates_passed",
            Self::GatesFailed { .. } => "gates_failed",
            Self::GatesLost { .. } => "gates_lost",
            Self::Ungated { .. } => "ungated",
            Self::Conflicted { .. } => "conflicted",
            Self::TipMoved => "tip_moved",
            Self::Landed => "landed",
            Self::Dropped { .. } => "dropped",
            Self::Retried => "retried",
        }
    }
}

/// What must be carried out because a change took an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeEffect {
    /// A gate run waits for a slot: wake the scheduler.
    Schedule,
    /// The queue can go on: wake the merge queue.
    Merge,
    /// Its gate worker is not needed any more.
    StopWorker { worker: WorkerId },
}

impl Change {
    /// Applies `event` and returns the effects it demands.
    ///
    /// # Errors
    /// [`Refused::Illegal`] when the state does not accept `event`; `self` is unchanged.
    pub fn apply(&mut self, event: ChangeEvent, now: Timestamp) -> Result<Vec<ChangeEffect>, Refused> {
        let effects = match (&self.state, event) {
            (ChangeState::Queued, ChangeEvent::Gated { candidate }) => {
                self.state = ChangeState::Gating { candidate, worker: None };
                vec![ChangeEffect::Schedule]
            }
            (ChangeState::Queued, ChangeEvent::Ungated { candidate }) => {
                self.state = ChangeState::Landing { candidate };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::Conflicted { paths }) => {
                self.state = ChangeState::Conflicted { paths };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Gating { candidate, worker: None }, ChangeEvent::GateAssigned { worker }) => {
                self.state = ChangeState::Gating { candidate: candidate.clone(), worker: Some(worker) };
                vec![]
            }
            // Only a result for this very candidate counts; another tree's proves nothing.
            (ChangeState::Gating { candidate, worker: Some(_) }, ChangeEvent::GatesPassed { commit, tree })
                if candidate.commit == commit && candidate.tree == tree =>
            {
                self.losses = 0;
                self.state = ChangeState::Landing { candidate: candidate.clone() };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Gating { worker: Some(_), .. }, ChangeEvent::GatesFailed { reason }) => {
                self.state = ChangeState::Failed { reason };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Gating { candidate, worker: Some(_) }, ChangeEvent::GatesLost { reason: _, retry_at }) => {
                self.losses += 1;
                self.not_before = Some(retry_at);
                self.state = ChangeState::Gating { candidate: candidate.clone(), worker: None };
                vec![ChangeEffect::Schedule]
            }
            (ChangeState::Gating { worker, .. }, ChangeEvent::TipMoved) => {
                let stop = worker.map(|worker| ChangeEffect::StopWorker { worker });
                self.requeue();
                stop.into_iter().chain([ChangeEffect::Merge]).collect()
            }
            (ChangeState::Landing { .. }, ChangeEvent::TipMoved) => {
                self.requeue();
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Landing { candidate }, ChangeEvent::Landed) => {
                self.state = ChangeState::Landed { candidate: candidate.clone() };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Gating { worker, .. }, ChangeEvent::Dropped { reason }) => {
                let stop = worker.map(|worker| ChangeEffect::StopWorker { worker });
                self.state = ChangeState::Failed { reason };
                stop.into_iter().chain([ChangeEffect::Merge]).collect()
            }
            // A change that is being landed cannot be taken back: the branch may have moved already.
            (ChangeState::Queued, ChangeEvent::Dropped { reason }) => {
                self.state = ChangeState::Failed { reason };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Failed { .. } | ChangeState::Conflicted { .. }, ChangeEvent::Retried) => {
                self.requeue();
                vec![ChangeEffect::Merge]
            }
            (state, event) => {
                return Err(Refused::Illegal { entity: "change", state: state.name().as_str(), event: event.name() });
            }
        };
        self.updated_at = now;
        Ok(effects)
    }

    fn requeue(&mut self) {
        self.losses = 0;
        self.not_before = None;
        self.state = ChangeState::Queued;
    }

    /// The candidate that is being gated, landed or was landed.
    pub const fn candidate(&self) -> Option<&Candidate> {
        match &self.state {
            ChangeState::Gating { candidate, .. }
            | ChangeState::Landing { candidate }
            | ChangeState::Landed { candidate } => Some(candidate),
            ChangeState::Queued | ChangeState::Failed { .. } | ChangeState::Conflicted { .. } => None,
        }
    }

    pub fn reason(&self) -> String {
        match &self.state {
            ChangeState::Failed { reason } => reason.clone(),
            ChangeState::Conflicted { paths } => format!("conflicts in {}", paths.join(", ")),
            ChangeState::Queued
            | ChangeState::Gating { .. }
            | ChangeState::Landing { .. }
            | ChangeState::Landed { .. } => String::new(),
        }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
