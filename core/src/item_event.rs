//! What happens to an item, and what follows from it.

use serde::Serialize;

use crate::conflict::Conflict;
use crate::event::{EventKind, Recorded};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, WorkerId};
use crate::repo::NothingToDo;
use crate::stage::Lease;
use crate::time::Timestamp;

/// Whether a landing has still to be brought to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    Owed,
    /// It has no upstream.
    Complete,
}

/// What happens to an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemEvent {
    /// A person moved it out of the inbox or planning.
    Readied,
    /// The scheduler gave it to a worker, as this attempt.
    Leased {
        attempt: Attempt,
        lease: Lease,
    },
    /// The attempt's commits arrived, and a change was made of them.
    Delivered {
        attempt: Attempt,
        change: ChangeId,
    },
    /// The attempt ended without a usable result, by its own fault.
    AttemptFailed {
        attempt: Attempt,
        reason: String,
        /// The end of the terminal, for the next attempt; too long for the record.
        #[serde(skip)]
        detail: String,
        max_attempts: u32,
        /// The outpost, if it failed there at once.
        avoid: Option<OutpostName>,
    },
    /// The attempt ended without a result, since there is nothing to do by its word.
    NothingToDo {
        attempt: Attempt,
        reason: String,
        /// What becomes of it: the repo's way.
        way: NothingToDo,
    },
    /// Infrastructure ended the attempt, which does not count as a failure.
    AttemptLost {
        attempt: Attempt,
        reason: String,
        retry_at: Timestamp,
        /// The outpost, if the fault is its own.
        avoid: Option<OutpostName>,
    },
    /// The merge queue did not take the change.
    Rejected {
        change: ChangeId,
        reason: String,
        /// The end of the gates' terminal, for the next attempt; too long for the record.
        #[serde(skip)]
        detail: String,
        /// What has to be resolved, if that is why; the change's own event has it on record.
        #[serde(skip)]
        conflict: Option<Conflict>,
        max_attempts: u32,
    },
    /// The change is on the target branch.
    Landed {
        change: ChangeId,
        commit: CommitId,
        delivery: Delivery,
    },
    /// The upstream has the commit of its landing.
    AtUpstream {
        commit: CommitId,
    },
    /// Its landing is gone from the branch, since the upstream was rewritten.
    Undone {
        reason: String,
    },
    /// Every child of this container is done or cancelled.
    ChildrenDone,
    /// The convoy that it is part of landed.
    ConvoyDone {
        convoy: ItemId,
        commit: CommitId,
    },
    /// The change of an ended item entered the queue once more.
    Requeued {
        change: ChangeId,
    },
    /// A person brought commits for it, as this attempt.
    Submitted {
        attempt: Attempt,
        change: ChangeId,
    },
    /// A person takes it as done, without a landing.
    Resolved {
        reason: String,
    },
    /// A person asked for another round of attempts.
    Retried,
    Blocked {
        reason: String,
    },
    Cancelled {
        reason: String,
    },
}

/// What must be carried out because an item took an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemEffect {
    /// The item can be given out: wake the scheduler.
    Schedule,
    /// Its worker must end.
    StopWorker { worker: WorkerId },
    /// Its change must leave the queue.
    DropChange { change: ChangeId },
    /// It is over: look again at its parent and at what needs it.
    Settle,
}

impl EventKind {
    pub const ITEM_ADDED: Self = Self::new("item_added");
    pub const ITEM_EDITED: Self = Self::new("item_edited");
    pub const ITEM_READIED: Self = Self::new("item_readied");
    pub const ITEM_LEASED: Self = Self::new("item_leased");
    pub const ITEM_ATTEMPT_FAILED: Self = Self::new("item_attempt_failed");
    pub const ITEM_LANDED: Self = Self::new("item_landed");
    pub const ITEM_AT_UPSTREAM: Self = Self::new("item_at_upstream");
    pub const ITEM_RETRIED: Self = Self::new("item_retried");
    pub const ITEM_CANCELLED: Self = Self::new("item_cancelled");
}

impl Recorded for ItemEvent {
    const ENTITY: &'static str = "item";

    fn name(&self) -> &'static str {
        match self {
            Self::Readied => "readied",
            Self::Leased { .. } => "leased",
            Self::Delivered { .. } => "delivered",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::NothingToDo { .. } => "nothing_to_do",
            Self::AttemptLost { .. } => "attempt_lost",
            Self::Rejected { .. } => "rejected",
            Self::Landed { .. } => "landed",
            Self::AtUpstream { .. } => "at_upstream",
            Self::Undone { .. } => "undone",
            Self::ChildrenDone => "children_done",
            Self::ConvoyDone { .. } => "convoy_done",
            Self::Requeued { .. } => "requeued",
            Self::Submitted { .. } => "submitted",
            Self::Resolved { .. } => "resolved",
            Self::Retried => "retried",
            Self::Blocked { .. } => "blocked",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}
