//! The reasons: what something waits for, or what becomes of it, each with its data.

use std::time::Duration;

use serde::Serialize;

use super::Severity;
use crate::act::Act;
use crate::conflict::Conflict;
use crate::gates::duration_text;
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, RepoName, TrialId, WorkerId};
use crate::item::StageName;
use crate::job::Role;
use crate::merge_queue::prior::Prior;
use crate::time::Timestamp;
use crate::trial::TrialStateName;

/// Defines [`Reason`], and [`ReasonCode`] with the code and the severity of each.
macro_rules! reasons {
    ($($(#[$meta:meta])* $code:literal $severity:ident $variant:ident $({ $($(#[$fmeta:meta])* $field:ident: $type:ty),+ $(,)? })?;)+) => {
        /// What something waits for, or what becomes of it.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Reason { $($(#[$meta])* $variant $({ $($(#[$fmeta])* $field: $type),+ })?),+ }

        crate::words! {
            /// The stable code of a reason.
            pub enum ReasonCode as "reason" { $($variant => $code),+ }
        }

        impl Reason {
            pub const fn code(&self) -> ReasonCode {
                match self { $(Self::$variant { .. } => ReasonCode::$variant),+ }
            }
        }

        impl ReasonCode {
            /// The usual severity of a reason with this code.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }
        }
    };
}

reasons! {
    "item.not_ready" Blocked NotReady { item: ItemId, stage: StageName };
    "item.in_progress" Info InProgress { worker: WorkerId, attempt: Attempt, outpost: OutpostName };
    "item.in_stage" Waiting InStage { stage: StageName };
    "item.merging" Waiting Merging { change: ChangeId };
    "item.not_at_upstream" Waiting NotAtUpstream {
        change: ChangeId,
        /// The commit of the landing.
        commit: CommitId,
        repo: RepoName,
        /// The upstream's words, if it said any.
        why: Option<String>,
    };
    "item.done" Info Done { commit: Option<CommitId> };
    "item.blocked" Blocked ItemBlocked { item: ItemId, why: String };
    "item.nothing_to_do" Blocked NothingToDo { item: ItemId, why: String };
    "item.may_be_retried" Info MayBeRetried { item: ItemId };
    "item.cancelled" Blocked ItemCancelled { item: ItemId, why: String };
    "item.conflict" Info Conflicted { conflict: Conflict, role: Role };
    "item.no_children" Blocked NoChildren { item: ItemId };
    "item.child" Waiting Child { item: ItemId, stage: StageName };
    "item.in_convoy" Waiting InConvoy { convoy: ItemId };
    /// Blocked when the need itself continues only when a person acts.
    "item.need" Waiting Need { item: ItemId, title: String, stage: StageName, stuck: bool };
    "item.paused" Waiting Paused { item: ItemId, until: Timestamp, why: String };
    "item.no_command" Blocked NoCommand { item: ItemId, repo: RepoName };
    "scheduler.pending" Waiting SchedulerPending;
    "repo.role_limit" Waiting RoleLimit { max: u32 };

    "outpost.cut_off" Waiting OutpostCutOff {
        outpost: OutpostName,
        worker: WorkerId,
        attempt: Attempt,
        /// How long the outpost still keeps the work.
        #[serde(with = "duration_text")]
        left: Duration,
    };
    "outpost.none_online" Waiting NoOutpost;
    "outpost.no_matching_labels" Waiting NoMatchingLabels { wanted: Vec<String> };
    "outpost.no_free_slot" Waiting NoFreeSlot {
        /// How much ready work goes before it.
        ahead: usize,
    };
    "outpost.paused" Waiting OutpostPaused { outpost: OutpostName, why: String };
    "outpost.suspect" Waiting OutpostSuspect { outpost: OutpostName, why: String };

    "queue.halted" Blocked QueueHalted { repo: RepoName, why: String };
"upstream.rewritten" Blocked UpstreamRewritten { repo: RepoName, was: CommitId, now: CommitId };
    "queue.frozen" Blocked QueueFrozen { repo: RepoName, why: String };
    "queue.failing" Waiting QueueFailing { repo: RepoName, why: String };
    "change.landing" Info Landing { commit: CommitId };
    "change.landed" Info Landed { commit: CommitId };
    "change.out_of_queue" Blocked OutOfQueue { change: ChangeId, why: String };
    "change.direct" Info Direct { skip_gates: bool, why: String };
    "change.not_planned" Waiting NotPlanned;
    "change.awaits_approval" Blocked AwaitsApproval {
        change: ChangeId,
        /// The protected paths that it changes, and what it weakens.
        what: String,
    };
    "change.not_known" Waiting NotKnown { why: String };
    "change.position" Waiting Position { position: usize, repo: RepoName };
    "change.overlap" Waiting Overlap { changes: Vec<ChangeId> };
    "change.no_trial" Waiting NoTrial;
    "change.left_out" Info LeftOut { change: ChangeId, files: String };
    "change.behind_direct" Waiting BehindDirect { change: ChangeId };
    "change.chance" Info Chance {
        /// That it lands, from 0 to 1.
        chance: f64,
        prior: Option<Prior>,
    };
    "change.expected" Info Expected {
        #[serde(with = "duration_text")]
        left: Duration,
    };
    "trial.state" Info Trial {
        trial: TrialId,
        base: CommitId,
        /// The other changes of the trial.
        with: Vec<ChangeId>,
        state: TrialStateName,
        /// Its failed gates run again on the same tree.
        confirming: bool,
        why: String,
    };
    "gate.running" Info GateRunning { gate: String, worker: WorkerId };
    "gate.paused" Waiting GatePaused { gate: String, until: Timestamp };
    "gate.waiting" Waiting GatesWaiting { trial: TrialId };
    "branch.red" Blocked BranchRed { commit: CommitId, why: String };

    "branch.missing" Blocked BranchMissing { repo: RepoName, branch: String };
    "repo.no_gate" Info NoGate { repo: RepoName, branch: String };
    "repo.no_command" Info NoRepoCommand { repo: RepoName };
    "repo.setup_fails" Waiting SetupFails { repo: RepoName, outposts: Vec<OutpostName>, why: String };
    "repo.submodule_missing" Waiting SubmoduleMissing { repo: RepoName, path: String, why: String };
    "repo.lfs_missing" Waiting LfsMissing { repo: RepoName, count: usize, why: String };
    "repo.push_unknown" Info PushUnknown { repo: RepoName, branch: String, probed: bool };
    "repo.upstream_behind" Waiting UpstreamBehind { repo: RepoName, since: Timestamp, why: String };
    "repo.cannot_land" Blocked CannotLand { repo: RepoName, why: String };
}

impl Reason {
    pub const fn severity(&self) -> Severity {
        if matches!(self, Self::Need { stuck: true, .. }) { Severity::Blocked } else { self.code().severity() }
    }

    /// What would free it, or show more of it.
    pub fn act(&self) -> Option<Act> {
        match self {
            Self::NotReady { item, .. } => Some(Act::ReadyItem(*item)),
            Self::ItemBlocked { item, .. }
            | Self::ItemCancelled { item, .. }
            | Self::Paused { item, .. }
            | Self::MayBeRetried { item } => Some(Act::RetryItem(*item)),
            Self::NothingToDo { item, .. } => Some(Act::ResolveItem(*item)),
            Self::NoChildren { item } => Some(Act::AddChild(*item)),
            Self::Need { item, stuck: true, .. } => Some(Act::ShowItem(*item)),
            Self::NoCommand { repo, .. } | Self::NoRepoCommand { repo } => Some(Act::SetRepoCommand(repo.clone())),
            Self::NoGate { repo, .. } => Some(Act::SetRepoGates(repo.clone())),
            Self::NoOutpost => Some(Act::JoinOutpost),
            Self::NoMatchingLabels { .. } => Some(Act::JoinLabelledOutpost),
            Self::QueueHalted { repo, .. } | Self::QueueFrozen { repo, .. } => Some(Act::UnpauseRepo(repo.clone())),
            Self::UpstreamRewritten { repo, .. } => Some(Act::ChooseUpstream(repo.clone())),
            Self::OutOfQueue { change, .. } => Some(Act::RetryChange(*change)),
            Self::AwaitsApproval { change, .. } => Some(Act::ApproveChange(*change)),
            Self::InProgress { worker, .. } | Self::GateRunning { worker, .. } => Some(Act::FollowLog(*worker)),
            Self::InStage { .. }
            | Self::Merging { .. }
            | Self::NotAtUpstream { .. }
            | Self::Done { .. }
            | Self::Conflicted { .. }
            | Self::Child { .. }
            | Self::InConvoy { .. }
            | Self::Need { stuck: false, .. }
            | Self::SchedulerPending
            | Self::RoleLimit { .. }
            | Self::OutpostCutOff { .. }
            | Self::NoFreeSlot { .. }
            | Self::OutpostPaused { .. }
            | Self::OutpostSuspect { .. }
            | Self::QueueFailing { .. }
            | Self::Landing { .. }
            | Self::Landed { .. }
            | Self::Direct { .. }
            | Self::NotPlanned
            | Self::NotKnown { .. }
            | Self::Position { .. }
            | Self::Overlap { .. }
            | Self::NoTrial
            | Self::LeftOut { .. }
            | Self::BehindDirect { .. }
            | Self::Chance { .. }
            | Self::Expected { .. }
            | Self::Trial { .. }
            | Self::GatePaused { .. }
            | Self::GatesWaiting { .. }
            | Self::BranchRed { .. }
            | Self::BranchMissing { .. }
            | Self::SetupFails { .. }
            | Self::SubmoduleMissing { .. }
            | Self::LfsMissing { .. }
            | Self::PushUnknown { .. }
            | Self::UpstreamBehind { .. }
            | Self::CannotLand { .. } => None,
        }
    }
}
