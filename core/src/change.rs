//! A change: a branch's entry in the merge queue.

use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::bounds::paths_in_words;
use crate::event::{EventKind, Recorded};
use crate::gates::Gate;
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, TrialId};
use crate::job::Role;
use crate::protection::{Approval, Protection};
use crate::time::Timestamp;

crate::words! {
    /// The name of a change's state, without what the state holds.
    pub enum ChangeStateName as "change state" {
        Queued => "queued",
        Landing => "landing",
        Landed => "landed",
        Failed => "failed",
        Conflicted => "conflicted",
    }
}

/// A commit built for one change or more: what is gated, and exactly what lands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub commit: CommitId,
    pub tree: TreeId,
    /// The tip of the target branch that it was built on.
    pub base: CommitId,
    /// The gates it must pass, as the target branch had them at `base`.
    pub gates: Vec<Gate>,
    /// Those that its own configuration adds: it passes both.
    #[serde(default)]
    pub new_gates: Vec<Gate>,
}

impl Candidate {
    /// Every gate that it must pass.
    pub fn all_gates(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().chain(&self.new_gates)
    }
}

/// Where a change stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ChangeState {
    // An older record says "gating" of one whose candidate was being gated.
    #[serde(alias = "gating")]
    Queued,
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
            Self::Landing { .. } => ChangeStateName::Landing,
            Self::Landed { .. } => ChangeStateName::Landed,
            Self::Failed { .. } => ChangeStateName::Failed,
            Self::Conflicted { .. } => ChangeStateName::Conflicted,
        }
    }

    /// Whether it is still in the queue.
    pub const fn is_pending(&self) -> bool {
        match self {
            Self::Queued | Self::Landing { .. } => true,
            Self::Landed { .. } | Self::Failed { .. } | Self::Conflicted { .. } => false,
        }
    }
}

/// A person's request to land a change at once, outside of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direct {
    /// Its gates are not run.
    pub skip_gates: bool,
    /// Why; always there when something is skipped.
    pub reason: String,
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
    /// The role of the worker that made it; none for a person's change, and in older records.
    #[serde(default)]
    pub role: Option<Role>,
    /// The ref or item that a person named when they brought it; none for a worker's change.
    #[serde(default)]
    pub source: Option<String>,
    /// It is a branch of the upstream, which no worker can write to; all else is a worker's work, whoever brings it.
    #[serde(default)]
    pub own: bool,
    #[serde(default)]
    pub direct: Option<Direct>,
    /// The files that its worker had changed and not committed, in one phrase.
    #[serde(default)]
    pub left_out: Option<String>,
    /// What it has to do with protected paths; none when nothing.
    #[serde(default)]
    pub protection: Option<Protection>,
    #[serde(flatten)]
    pub state: ChangeState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

crate::noun!(Change, "change", "number");

/// What happens to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeEvent {
    /// It is to land, alone or with others: the branch moves to exactly what passed in this trial.
    LandingBegun {
        candidate: Candidate,
        /// None: it has nothing to bring, or a person landed it ungated.
        trial: Option<TrialId>,
        /// The tree that passed lacked disjoint changes that landed in the meantime; the union is gated afterwards.
        relaxed: bool,
    },
    /// Its gates failed twice on a tree whose other changes are known to be good.
    GatesFailed {
        reason: String,
        trial: TrialId,
    },
    /// A change whose commits it contains was sent back.
    ParentFailed {
        parent: ChangeId,
    },
    /// The merge with the tip does not go by itself.
    Conflicted {
        paths: Vec<String>,
        /// The items whose landed work conflicts with it.
        others: Vec<ItemId>,
    },
    /// The branch was moved outside of the coordinator before the landing: the landing counts as not begun.
    TipMoved,
    /// The branch holds the candidate.
    Landed,
    Dropped {
        reason: String,
    },
    /// The landing is gone from the branch, since the upstream was rewritten.
    Undone {
        reason: String,
    },
    Retried,
    /// There is a newer version of it; what was found out about the one before does not count for this one.
    Replaced {
        attempt: Attempt,
        head: CommitId,
        source: Option<String>,
        own: bool,
    },
    /// A person has it land beside the queue.
    Directed {
        direct: Direct,
    },
    /// It changes protected paths, and waits for a person's approval.
    ProtectedPaths {
        protection: Protection,
    },
    /// A person lets it land although it changes protected paths.
    Approved {
        by: String,
        reason: String,
    },
}

impl EventKind {
    pub const CHANGE_QUEUED: Self = Self::new("change_queued");
    pub const CHANGE_LANDED: Self = Self::new("change_landed");
}

impl Recorded for ChangeEvent {
    const ENTITY: &'static str = "change";

    fn name(&self) -> &'static str {
        match self {
            Self::LandingBegun { .. } => "landing_begun",
            Self::GatesFailed { .. } => "gates_failed",
            Self::ParentFailed { .. } => "parent_failed",
            Self::Conflicted { .. } => "conflicted",
            Self::TipMoved => "tip_moved",
            Self::Landed => "landed",
            Self::Dropped { .. } => "dropped",
            Self::Undone { .. } => "undone",
            Self::Retried => "retried",
            Self::Replaced { .. } => "replaced",
            Self::Directed { .. } => "directed",
            Self::ProtectedPaths { .. } => "protected_paths",
            Self::Approved { .. } => "approved",
        }
    }
}

/// What must be carried out because a change took an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeEffect {
    /// The queue can go on: wake the merge queue.
    Merge,
}

impl Change {
    /// Applies `event` and returns the effects it demands.
    ///
    /// # Errors
    /// [`Refused::Illegal`] when the state does not accept `event`; `self` is unchanged.
    pub fn apply(&mut self, event: ChangeEvent, now: Timestamp) -> Result<Vec<ChangeEffect>, Refused> {
        let effects = match (&self.state, event) {
            (ChangeState::Queued, ChangeEvent::LandingBegun { candidate, trial: _, relaxed: _ }) => {
                self.state = ChangeState::Landing { candidate };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::GatesFailed { reason, trial: _ }) => {
                self.state = ChangeState::Failed { reason };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::ParentFailed { parent }) => {
                self.state = ChangeState::Failed { reason: follows(parent) };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::Conflicted { paths, others: _ }) => {
                self.state = ChangeState::Conflicted { paths };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Landing { .. }, ChangeEvent::TipMoved) => {
                self.requeue();
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Landing { candidate }, ChangeEvent::Landed) => {
                self.state = ChangeState::Landed { candidate: candidate.clone() };
                vec![ChangeEffect::Merge]
            }
            // A change that is being landed cannot be taken back: the branch may have moved already.
            (ChangeState::Queued, ChangeEvent::Dropped { reason }) => {
                self.state = ChangeState::Failed { reason };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Landed { .. }, ChangeEvent::Undone { reason }) => {
                self.state = ChangeState::Failed { reason };
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::Replaced { attempt, head, source, own }) => {
                self.attempt = attempt;
                self.head = head;
                self.source = source;
                self.own = own;
                self.protection = None;
                // What a person wanted of the old version need not be what they want of the new.
                self.direct = None;
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::Directed { direct }) => {
                self.direct = Some(direct);
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Failed { .. } | ChangeState::Conflicted { .. }, ChangeEvent::Retried) => {
                // What a person wanted then need not be what they want now.
                self.direct = None;
                self.requeue();
                vec![ChangeEffect::Merge]
            }
            (ChangeState::Queued, ChangeEvent::ProtectedPaths { protection }) => {
                self.protection = Some(protection);
                vec![]
            }
            (ChangeState::Queued, ChangeEvent::Approved { by, reason }) if self.protection.is_some() => {
                let approval = Some(Approval { by, reason, at: now });
                self.protection = self.protection.take().map(|protection| Protection { approval, ..protection });
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
        self.state = ChangeState::Queued;
    }

    /// Whether a person brought it, and gets its result.
    pub const fn is_by_hand(&self) -> bool {
        self.source.is_some() || self.direct.is_some()
    }

    /// Whether it waits for a person's approval.
    pub fn awaits_approval(&self) -> bool {
        matches!(self.state, ChangeState::Queued) && self.protection.as_ref().is_some_and(Protection::waits)
    }

    /// The candidate that is being gated, landed or was landed.
    pub const fn candidate(&self) -> Option<&Candidate> {
        match &self.state {
            ChangeState::Landing { candidate } | ChangeState::Landed { candidate } => Some(candidate),
            ChangeState::Queued | ChangeState::Failed { .. } | ChangeState::Conflicted { .. } => None,
        }
    }

    pub fn reason(&self) -> String {
        match &self.state {
            ChangeState::Failed { reason } => reason.clone(),
            ChangeState::Conflicted { paths } => in_paths(paths),
            ChangeState::Queued | ChangeState::Landing { .. } | ChangeState::Landed { .. } => String::new(),
        }
    }
}

/// Why a change leaves the queue with another one.
pub fn follows(parent: ChangeId) -> String {
    format!("its branch contains change {parent}, which was sent back")
}

/// The sentence about a branch that does not merge.
pub fn in_paths(paths: &[String]) -> String {
    if paths.is_empty() {
        "does not hold the tip".to_owned()
    } else {
        format!("conflicts in {}", paths_in_words(paths))
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
