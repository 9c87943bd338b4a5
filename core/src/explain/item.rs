//! What an item waits for.

use std::time::Duration;

use super::{Explanation, Reason};
use crate::ids::OutpostName;
use crate::item::{Item, Stage};
use crate::job::Role;
use crate::schedule::{Hold, Unplaced};
use crate::time::Timestamp;

/// What is known around an item when it is explained.
#[derive(Debug, Clone, Default)]
pub struct ItemSurroundings {
    pub hold: Option<Hold>,
    /// Its open needs, each with whether it continues only when a person acts.
    pub needs: Vec<(Item, bool)>,
    pub children: Vec<Item>,
    /// Why the scheduler cannot place it.
    pub unplaced: Option<Unplaced>,
    /// Ready work that goes before it.
    pub ahead: usize,
    /// Why the upstream lacks what has landed here, if that is known.
    pub upstream_trouble: Option<String>,
    /// What its change waits for, while it is in the merge queue.
    pub change: Option<Explanation>,
    /// The connected outposts that accept no new work, each with why.
    pub paused: Vec<(OutpostName, String)>,
    /// The labels that its agent needs.
    pub wants: Vec<String>,
    /// Those that are suspect, each with why.
    pub suspect: Vec<(OutpostName, String)>,
    /// How long the disconnected outpost that works on it still keeps it.
    pub lapses_in: Option<Duration>,
    /// When its worker was assigned.
    pub assigned_at: Option<Timestamp>,
    /// The repo has no command line for its role, and the item brings none.
    pub nothing_to_run: bool,
    /// The role of the worker that has it, or gets it next.
    pub role: Option<Role>,
}

/// Explains what `item` waits for.
pub fn explain_item(item: &Item, around: &ItemSurroundings) -> Explanation {
    let mut explanation = Explanation::default();
    if let (Some(conflict), Some(role)) = (&item.conflict, around.role) {
        explanation.push(Reason::Conflicted { conflict: conflict.clone(), role });
    }
    explain_stage(item, around, &mut explanation);
    explanation
}

/// What an item says that has landed here and is not at the upstream.
pub fn not_at_upstream(item: &Item, why: Option<String>) -> Option<Reason> {
    let Stage::Merging { change, landed: Some(commit) } = &item.stage else { return None };
    Some(Reason::NotAtUpstream { change: *change, commit: commit.clone(), repo: item.repo.clone(), why })
}

fn explain_stage(item: &Item, around: &ItemSurroundings, explanation: &mut Explanation) {
    let (id, stage, since) = (item.id, item.stage.name(), item.stage_since);
    match &item.stage {
        Stage::Inbox | Stage::Planning => explanation.push_since(Reason::NotReady { item: id, stage }, since),
        Stage::Ready => explain_ready(item, around, explanation),
        Stage::InProgress { lease } => {
            let (worker, attempt, outpost) = (lease.worker, item.attempt, lease.outpost.clone());
            if let Some(left) = around.lapses_in {
                explanation.push(Reason::OutpostCutOff { outpost, worker, attempt, left });
            } else {
                let since = around.assigned_at.or(since);
                explanation.push_since(Reason::InProgress { worker, attempt, outpost }, since);
            }
        }
        Stage::InReview | Stage::InTests | Stage::InDocs => explanation.push_since(Reason::InStage { stage }, since),
        Stage::Merging { landed: Some(_), .. } => {
            if let Some(reason) = not_at_upstream(item, around.upstream_trouble.clone()) {
                explanation.push_since(reason, since);
            }
        }
        Stage::Merging { change, landed: None } => {
            explanation.push_since(Reason::Merging { change: *change }, since);
            explanation.reasons.extend(around.change.iter().flat_map(|inner| inner.reasons.iter().cloned()));
        }
        Stage::Done { commit } => explanation.push_since(Reason::Done { commit: commit.clone() }, since),
        Stage::Blocked { reason } if item.nothing_to_do => {
            explanation.push_since(Reason::NothingToDo { item: id, why: reason.clone() }, since);
            explanation.push(Reason::MayBeRetried { item: id });
        }
        Stage::Blocked { reason } => {
            explanation.push_since(Reason::ItemBlocked { item: id, why: reason.clone() }, since);
        }
        Stage::Cancelled { reason } => {
            explanation.push_since(Reason::ItemCancelled { item: id, why: reason.clone() }, since);
        }
    }
}

fn explain_ready(item: &Item, around: &ItemSurroundings, explanation: &mut Explanation) {
    match &around.hold {
        Some(Hold::Container) if around.children.is_empty() => explanation.push(Reason::NoChildren { item: item.id }),
        Some(Hold::Container) => {
            for child in &around.children {
                explanation.push_since(Reason::Child { item: child.id, stage: child.stage.name() }, child.stage_since);
            }
        }
        Some(Hold::InConvoy { convoy }) => explanation.push(Reason::InConvoy { convoy: *convoy }),
        Some(Hold::Needs { .. }) => {
            for (need, stuck) in &around.needs {
                let (title, stage) = (need.title.clone(), need.stage.name());
                explanation.push(Reason::Need { item: need.id, title, stage, stuck: *stuck });
            }
        }
        Some(Hold::Pause { until }) => {
            // The loss that began the pause put it into stage ready.
            let paused = Reason::Paused { item: item.id, until: *until, why: item.reason().to_owned() };
            explanation.push_since(paused, item.stage_since);
        }
        Some(Hold::NotReady) | None if around.nothing_to_run => {
            explanation.push(Reason::NoCommand { item: item.id, repo: item.repo.clone() });
        }
        Some(Hold::NotReady) | None => {
            let required = item.requires.iter().map(|(key, value)| format!("{key}={value}"));
            let wanted = required.chain(around.wants.iter().cloned()).collect();
            let placement = placement(around.unplaced.as_ref(), wanted, around.ahead);
            let starved = matches!(placement, Reason::NoMatchingLabels { .. });
            explanation.push(placement);
            if !starved {
                for (outpost, why) in &around.paused {
                    explanation.push(Reason::OutpostPaused { outpost: outpost.clone(), why: why.clone() });
                }
                for (outpost, why) in &around.suspect {
                    explanation.push(Reason::OutpostSuspect { outpost: outpost.clone(), why: why.clone() });
                }
            }
        }
    }
}

/// Why work has no slot; `wanted` are the labels that it requires.
pub(super) fn placement(unplaced: Option<&Unplaced>, wanted: Vec<String>, ahead: usize) -> Reason {
    match unplaced {
        Some(Unplaced::NoOutpost) => Reason::NoOutpost,
        Some(Unplaced::NoMatchingLabels) => Reason::NoMatchingLabels { wanted },
        Some(Unplaced::RoleLimit { max }) => Reason::RoleLimit { max: *max },
        Some(Unplaced::NoFreeSlot) => Reason::NoFreeSlot { ahead },
        None => Reason::SchedulerPending,
    }
}
