//! The scheduler's decision: which waiting work goes to which outpost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gates::Need;
use crate::ids::{ItemId, OutpostName, RepoName};
use crate::item::{Item, ItemKind, Priority, StageName};
use crate::job::{GateJob, Role};
use crate::time::Timestamp;

/// Waiting this long lifts work by one level of priority, so that urgent work
/// never starves old work.
pub const AGING: Duration = Duration::from_mins(30);

/// Work that waits for a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A gate of a trial: goes first, since it frees the merge queue.
    Gate(GateJob),
    /// An attempt at an item.
    Item(ItemId),
}

/// One piece of waiting work, with what its placement depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub work: Work,
    pub repo: RepoName,
    pub role: Role,
    pub priority: Priority,
    pub since: Timestamp,
    pub requires: BTreeMap<String, String>,
    /// Labels that a gate needs.
    pub needs: Vec<Need>,
    /// Outposts that could not do it; they are asked only when there is no other.
    pub avoid: Vec<OutpostName>,
}

/// An outpost that is online, and what it offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    pub outpost: OutpostName,
    pub labels: BTreeMap<String, String>,
    pub max_workers: u32,
    /// Slots in use.
    pub active: u32,
    /// Slots in use by each repo, to spread a repo's workers.
    pub active_by_repo: BTreeMap<RepoName, u32>,
}

/// What may run at one time, and what runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    pub max: BTreeMap<(RepoName, Role), u32>,
    pub active: BTreeMap<(RepoName, Role), u32>,
}

/// One decision: this work goes to that outpost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub work: Work,
    pub outpost: OutpostName,
}

/// Why a piece of work was not placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplaced {
    NoOutpost,
    NoMatchingLabels,
    NoFreeSlot,
    RoleLimit { max: u32 },
}

/// Assigns waiting work to free slots: gates first, then by priority and age;
/// for each piece the least loaded outpost that carries its labels, spread over
/// outposts by repo, then by name.
///
/// Every placement fits: no outpost gets more than its free slots, no role more
/// than its limit, and no work goes to an outpost without its labels. Time enters
/// only as the age of the work, so the same input always gives the same answer.
pub fn assign(ready: &[Request], outposts: &[Capacity], limits: &Limits) -> Vec<Placement> {
    let mut order: Vec<&Request> = ready.iter().collect();
    order.sort_by_key(|request| rank(request));
    let mut outposts = outposts.to_vec();
    let mut limits = limits.clone();
    let mut placements = Vec::new();
    for request in order {
        if let Ok(index) = place(request, &outposts, &limits) {
            let chosen = &mut outposts[index];
            chosen.active += 1;
            *chosen.active_by_repo.entry(request.repo.clone()).or_default() += 1;
            *limits.active.entry((request.repo.clone(), request.role)).or_default() += 1;
            placements.push(Placement { work: request.work.clone(), outpost: chosen.outpost.clone() });
            if outposts.iter().all(|outpost| outpost.active >= outpost.max_workers) {
                break;
            }
        }
    }
    placements
}

/// Says where `request` would go now, as an index into `outposts`, or why nowhere.
///
/// # Errors
/// [`Unplaced`], the most specific reason first.
pub fn place(request: &Request, outposts: &[Capacity], limits: &Limits) -> Result<usize, Unplaced> {
    if outposts.is_empty() {
        return Err(Unplaced::NoOutpost);
    }
    let key = (request.repo.clone(), request.role);
    if let Some(max) = limits.max.get(&key)
        && limits.active.get(&key).copied().unwrap_or(0) >= *max
    {
        return Err(Unplaced::RoleLimit { max: *max });
    }
    let carry = |outpost: &Capacity| {
        carries(&outpost.labels, &request.requires) && request.needs.iter().all(|need| need.is_met(&outpost.labels))
    };
    let mut matching: Vec<_> = outposts.iter().enumerate().filter(|(_, outpost)| carry(outpost)).collect();
    if matching.is_empty() {
        return Err(Unplaced::NoMatchingLabels);
    }
    // One that may do better is waited for.
    let fresh = |outpost: &Capacity| !request.avoid.contains(&outpost.outpost);
    if matching.iter().any(|(_, outpost)| fresh(outpost)) {
        matching.retain(|(_, outpost)| fresh(outpost));
    }
    matching
        .into_iter()
        .filter(|(_, outpost)| outpost.active < outpost.max_workers)
        .min_by(|(_, one), (_, other)| preference(one, request).cmp(&preference(other, request)))
        .map(|(index, _)| index)
        .ok_or(Unplaced::NoFreeSlot)
}

/// The rank of an outpost for a placement; the smaller, the better.
fn preference<'a>(outpost: &'a Capacity, request: &Request) -> (u64, u32, Reverse<u32>, &'a OutpostName) {
    // Load in parts per million, so that the order is total without floating point.
    let load = u64::from(outpost.active) * 1_000_000 / u64::from(outpost.max_workers);
    let same_repo = outpost.active_by_repo.get(&request.repo).copied().unwrap_or(0);
    (load, same_repo, Reverse(outpost.max_workers), &outpost.outpost)
}

fn carries(labels: &BTreeMap<String, String>, requires: &BTreeMap<String, String>) -> bool {
    requires.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The place in the order; smaller goes first. A level of priority is a head start
/// of [`AGING`], so work that waits long enough passes any newcomer, whatever its priority.
pub fn rank(request: &Request) -> (bool, i64, Work) {
    (matches!(request.work, Work::Item(_)), urgency(request.priority, request.since), request.work.clone())
}

/// The time since which work counts as waiting, in epoch milliseconds, with its
/// priority's head start taken off; smaller goes first.
pub fn urgency(priority: Priority, since: Timestamp) -> i64 {
    let levels = match priority {
        Priority::Low => 0,
        Priority::Medium => 1,
        Priority::High => 2,
        Priority::Urgent => 3,
    };
    since.as_millis() - levels * i64::try_from(AGING.as_millis()).unwrap_or(i64::MAX)
}

/// The reason, other than a missing slot, for which a ready item is not assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Not in the stage `ready`.
    NotReady,
    /// Done by its children, not by a worker.
    Container,
    /// Given out as part of its convoy.
    InConvoy { convoy: ItemId },
    /// These needs are not done.
    Needs { open: BTreeSet<ItemId> },
    /// A pause after an infrastructure failure.
    Pause { until: Timestamp },
}

/// Says what holds `item` back from being given out; none when it can go now.
pub fn hold(item: &Item, parent_kind: Option<ItemKind>, open_needs: &BTreeSet<ItemId>, now: Timestamp) -> Option<Hold> {
    if item.stage.name() != StageName::Ready {
        return Some(Hold::NotReady);
    }
    if item.kind == ItemKind::Feature {
        return Some(Hold::Container);
    }
    if let (Some(convoy), Some(ItemKind::Convoy)) = (item.parent, parent_kind) {
        return Some(Hold::InConvoy { convoy });
    }
    if !open_needs.is_empty() {
        return Some(Hold::Needs { open: open_needs.clone() });
    }
    match item.not_before {
        Some(until) if until > now => Some(Hold::Pause { until }),
        Some(_) | None => None,
    }
}

/// The pause before the next try when `losses` infrastructure failures in a row came before this one:
/// none at first, then half a second, doubled each time, at most a minute.
pub fn pause_after(losses: u32) -> Duration {
    let doubled = match losses {
        0 => 0,
        more => 250_u64.saturating_mul(1 << more.min(10)),
    };
    Duration::from_millis(doubled.min(60_000))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
