//! Events: the record of everything that happened, in order and without a gap.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::change::ChangeEvent;
use crate::ids::{ItemId, OutpostName, RepoName, Seq};
use crate::item::ItemEvent;
use crate::time::Timestamp;
use crate::trial::TrialEvent;
use crate::worker::WorkerEvent;

crate::words! {
    /// What happened.
    pub enum EventKind as "event kind" {
        RepoAdded => "repo_added",
        RepoChanged => "repo_changed",
        RepoRemoved => "repo_removed",
        RepoHalted => "repo_halted",
        RepoFrozen => "repo_frozen",
        RepoResumed => "repo_resumed",
        RepoSynced => "repo_synced",
        RepoPushing => "repo_pushing",
        RepoPushed => "repo_pushed",
        RepoPushLost => "repo_push_lost",
        ItemAdded => "item_added",
        ItemEdited => "item_edited",
        ItemReadied => "item_readied",
        ItemLeased => "item_leased",
        ItemDelivered => "item_delivered",
        ItemAttemptFailed => "item_attempt_failed",
        ItemAttemptLost => "item_attempt_lost",
        ItemRejected => "item_rejected",
        ItemLanded => "item_landed",
        ItemChildrenDone => "item_children_done",
        ItemConvoyDone => "item_convoy_done",
        ItemRequeued => "item_requeued",
        ItemSubmitted => "item_submitted",
        ItemRetried => "item_retried",
        ItemBlocked => "item_blocked",
        ItemCancelled => "item_cancelled",
        WorkerAssigned => "worker_assigned",
        WorkerAccepted => "worker_accepted",
        WorkerStarted => "worker_started",
        WorkerExited => "worker_exited",
        WorkerSentBack => "worker_sent_back",
        WorkerCompleted => "worker_completed",
        WorkerFailed => "worker_failed",
        WorkerLost => "worker_lost",
        WorkerStopRequested => "worker_stop_requested",
        ChangeQueued => "change_queued",
        ChangeLandingBegun => "change_landing_begun",
        ChangeParentFailed => "change_parent_failed",
        TrialBegun => "trial_begun",
        TrialGateAssigned => "trial_gate_assigned",
        TrialGatePassed => "trial_gate_passed",
        TrialGateFailed => "trial_gate_failed",
        TrialGateExcused => "trial_gate_excused",
        TrialGateLost => "trial_gate_lost",
        TrialConfirming => "trial_confirming",
        TrialCancelled => "trial_cancelled",
        TrialRetired => "trial_retired",
        ChangeGatesFailed => "change_gates_failed",
        // Older records have the five that follow; trials have taken their place.
        ChangeGated => "change_gated",
        ChangeGateAssigned => "change_gate_assigned",
        ChangeGatesPassed => "change_gates_passed",
        ChangeGatesLost => "change_gates_lost",
        ChangeUngated => "change_ungated",
        ChangeConflicted => "change_conflicted",
        ChangeTipMoved => "change_tip_moved",
        ChangeLanded => "change_landed",
        ChangeDropped => "change_dropped",
        ChangeRetried => "change_retried",
        ChangeReplaced => "change_replaced",
        ChangeDirected => "change_directed",
        LandingCheckSkipped => "landing_check_skipped",
        OutpostJoined => "outpost_joined",
        OutpostConnected => "outpost_connected",
        OutpostDisconnected => "outpost_disconnected",
        OutpostDraining => "outpost_draining",
        OutpostChanged => "outpost_changed",
        OutpostPaused => "outpost_paused",
        OutpostUnpaused => "outpost_unpaused",
        OutpostFoundSession => "outpost_found_session",
        OutpostResumed => "outpost_resumed",
        OutpostRemoved => "outpost_removed",
        ReportRefused => "report_refused",
        TokenCreated => "token_created",
        TokenUsed => "token_used",
        TokenRevoked => "token_revoked",
        CertificateIssued => "certificate_issued",
        RecordRestored => "record_restored",
        AccessRefused => "access_refused",
    }
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub seq: Seq,
    pub time: Timestamp,
    pub kind: EventKind,
    pub repo: Option<RepoName>,
    pub item: Option<ItemId>,
    /// Who caused it: `admin/NAME`, `operator/NAME`, `outpost/NAME`, `stranger`, or one of the
    /// coordinator's own loops, such as `scheduler`.
    pub actor: String,
    /// The address that the act came from; present where the event is part of the audit: what
    /// people did, and what was refused.
    pub origin: Option<String>,
    pub data: Value,
}

/// Who causes an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A caller; its acts are part of the audit.
    Caller(Caller),
    /// An outpost's ordinary reports.
    Outpost(OutpostName),
    Scheduler,
    Pipeline,
    MergeQueue,
    Supervisor,
    /// The coordinator itself, at its start or end.
    Coordinator,
}

impl Actor {
    /// The address that it acts from, if that is of interest.
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Caller(caller) => Some(&caller.from),
            Self::Outpost(_)
            | Self::Scheduler
            | Self::Pipeline
            | Self::MergeQueue
            | Self::Supervisor
            | Self::Coordinator => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(caller) => caller.fmt(f),
            Self::Outpost(name) => write!(f, "outpost/{name}"),
            Self::Scheduler => f.write_str("scheduler"),
            Self::Pipeline => f.write_str("pipeline"),
            Self::MergeQueue => f.write_str("merge-queue"),
            Self::Supervisor => f.write_str("supervisor"),
            Self::Coordinator => f.write_str("coordinator"),
        }
    }
}

/// An event before it has its place in the record.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub kind: EventKind,
    pub repo: Option<RepoName>,
    pub item: Option<ItemId>,
    pub actor: Actor,
    pub data: Value,
}

/// A machine's event as the record keeps it.
pub trait Recorded {
    fn kind(&self) -> EventKind;
    /// The details, as a JSON object.
    fn data(&self) -> Value;
}

impl Recorded for ItemEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::Readied => EventKind::ItemReadied,
            Self::Leased { .. } => EventKind::ItemLeased,
            Self::Delivered { .. } => EventKind::ItemDelivered,
            Self::AttemptFailed { .. } => EventKind::ItemAttemptFailed,
            Self::AttemptLost { .. } => EventKind::ItemAttemptLost,
            Self::Rejected { .. } => EventKind::ItemRejected,
            Self::Landed { .. } => EventKind::ItemLanded,
            Self::ChildrenDone => EventKind::ItemChildrenDone,
            Self::ConvoyDone { .. } => EventKind::ItemConvoyDone,
            Self::Requeued { .. } => EventKind::ItemRequeued,
            Self::Submitted { .. } => EventKind::ItemSubmitted,
            Self::Retried => EventKind::ItemRetried,
            Self::Blocked { .. } => EventKind::ItemBlocked,
            Self::Cancelled { .. } => EventKind::ItemCancelled,
        }
    }

    fn data(&self) -> Value {
        details(self)
    }
}

impl Recorded for WorkerEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::Accepted => EventKind::WorkerAccepted,
            Self::Started { .. } => EventKind::WorkerStarted,
            Self::Exited { .. } => EventKind::WorkerExited,
            Self::Completed { .. } => EventKind::WorkerCompleted,
            Self::Failed { .. } => EventKind::WorkerFailed,
            Self::Lost { .. } => EventKind::WorkerLost,
            Self::StopRequested { .. } => EventKind::WorkerStopRequested,
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

impl Recorded for ChangeEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::LandingBegun { .. } => EventKind::ChangeLandingBegun,
            Self::GatesFailed { .. } => EventKind::ChangeGatesFailed,
            Self::ParentFailed { .. } => EventKind::ChangeParentFailed,
            Self::Conflicted { .. } => EventKind::ChangeConflicted,
            Self::TipMoved => EventKind::ChangeTipMoved,
            Self::Landed => EventKind::ChangeLanded,
            Self::Dropped { .. } => EventKind::ChangeDropped,
            Self::Retried => EventKind::ChangeRetried,
            Self::Replaced { .. } => EventKind::ChangeReplaced,
            Self::Directed { .. } => EventKind::ChangeDirected,
        }
    }

    fn data(&self) -> Value {
        details(self)
    }
}

impl Recorded for TrialEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::GateAssigned { .. } => EventKind::TrialGateAssigned,
            Self::GatePassed { .. } => EventKind::TrialGatePassed,
            Self::GateFailed { .. } => EventKind::TrialGateFailed,
            Self::GateExcused { .. } => EventKind::TrialGateExcused,
            Self::GateLost { .. } => EventKind::TrialGateLost,
            Self::Confirming => EventKind::TrialConfirming,
            Self::Cancelled { .. } => EventKind::TrialCancelled,
            Self::Retired => EventKind::TrialRetired,
        }
    }

    fn data(&self) -> Value {
        details(self)
    }
}

/// The fields of a variant, without its name: the kind says that already.
fn details(event: &impl Serialize) -> Value {
    match serde_json::to_value(event) {
        Ok(Value::Object(fields)) if fields.len() == 1 => {
            fields.into_iter().next().map_or_else(|| json!({}), |(_, inner)| inner)
        }
        Ok(_) | Err(_) => json!({}),
    }
}
