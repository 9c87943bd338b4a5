//! What a worker is for.

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, CommitId, ItemId, TrialId};

crate::words! {
    /// Who works: a row of configuration.
    pub enum Role as "role" {
        Developer => "developer",
        Tester => "tester",
        Reviewer => "reviewer",
        Librarian => "librarian",
        Lead => "lead",
        Resolver => "resolver",
        /// Runs the gates of a candidate; no agent, no model.
        Gate => "gate",
    }
}

/// What a worker is for. Each kind has an outcome of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    Attempt(AttemptJob),
    Gate(GateJob),
}

/// An attempt at an item; its number is the fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptJob {
    pub item: ItemId,
    pub attempt: Attempt,
    pub role: Role,
}

impl AttemptJob {
    /// The branch that it commits to in its workspace.
    pub fn branch(&self) -> String {
        format!("sprint/{}/{}", self.item, self.attempt)
    }
}

/// A gate of a trial; fenced by its worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GateJob {
    pub trial: TrialId,
    pub gate: String,
}

impl Job {
    /// The role whose limit it counts towards.
    pub const fn role(&self) -> Role {
        match self {
            Self::Attempt(job) => job.role,
            Self::Gate(_) => Role::Gate,
        }
    }

    pub const fn attempt(&self) -> Option<&AttemptJob> {
        match self {
            Self::Attempt(job) => Some(job),
            Self::Gate(_) => None,
        }
    }

    pub const fn gate(&self) -> Option<&GateJob> {
        match self {
            Self::Attempt(_) => None,
            Self::Gate(job) => Some(job),
        }
    }

    /// The item that it is an attempt at.
    pub fn item(&self) -> Option<ItemId> {
        self.attempt().map(|job| job.item)
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attempt(AttemptJob { item, attempt, role: _ }) => write!(f, "attempt {attempt} of item {item}"),
            Self::Gate(GateJob { trial, gate }) => write!(f, "gate \"{gate}\" of trial {trial}"),
        }
    }
}

/// Work of an earlier attempt that another one starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierWork {
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Where its commits end; the commit that it started from, if it had made none.
    pub commit: CommitId,
    /// The snapshot of what it had not committed: a commit whose one parent is `commit`.
    pub uncommitted: Option<CommitId>,
    /// The ref of the coordinator's repository that reaches both.
    pub from_ref: String,
}
