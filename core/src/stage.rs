//! The stages of an item, and what each of them holds.

use serde::{Deserialize, Serialize};

use crate::ids::{ChangeId, CommitId, OutpostName, WorkerId};

crate::words! {
    /// The name of a stage, without what the stage holds.
    pub enum StageName as "stage" {
        Inbox => "inbox",
        Planning => "planning",
        Ready => "ready",
        InProgress => "in_progress",
        InReview => "in_review",
        InTests => "in_tests",
        Merging => "merging",
        InDocs => "in_docs",
        Done => "done",
        Blocked => "blocked",
        Cancelled => "cancelled",
    }
}

impl StageName {
    /// Whether nothing more is to become of an item there.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// An attempt's right to run on an outpost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub worker: WorkerId,
    pub outpost: OutpostName,
}

/// Where an item stands, with what only that stage knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    Inbox,
    Planning,
    Ready,
    InProgress {
        lease: Lease,
    },
    InReview,
    InTests,
    Merging {
        change: ChangeId,
        /// The commit of its landing, while the upstream does not have that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        landed: Option<CommitId>,
    },
    InDocs,
    Done {
        commit: Option<CommitId>,
    },
    Blocked {
        reason: String,
    },
    Cancelled {
        reason: String,
    },
}

impl Stage {
    pub const fn name(&self) -> StageName {
        match self {
            Self::Inbox => StageName::Inbox,
            Self::Planning => StageName::Planning,
            Self::Ready => StageName::Ready,
            Self::InProgress { .. } => StageName::InProgress,
            Self::InReview => StageName::InReview,
            Self::InTests => StageName::InTests,
            Self::Merging { .. } => StageName::Merging,
            Self::InDocs => StageName::InDocs,
            Self::Done { .. } => StageName::Done,
            Self::Blocked { .. } => StageName::Blocked,
            Self::Cancelled { .. } => StageName::Cancelled,
        }
    }
}
