//! The scheduler's decision: which waiting work goes to which outpost.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gates::Need;
use crate::ids::{ItemId, OutpostName, RepoName};
use crate::item::{Item, ItemKind, Priority, StageName};
use crate::job::{GateJob, Role};
use crate::outpost::Outpost;
use crate::slots::SlotsInUse;
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

/// An outpost, and which of its slots are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    pub outpost: Arc<Outpost>,
    /// Shared with the record until a slot is given out.
    pub in_use: Arc<SlotsInUse>,
}

impl Capacity {
    /// The slots that are free.
    pub fn free(&self) -> u32 {
        self.outpost.most().saturating_sub(self.in_use.total())
    }
}

/// What may run at one time, and what runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    pub max: BTreeMap<(RepoName, Role), u32>,
    /// The slots in use on all outposts.
    pub in_use: SlotsInUse,
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
/// than its limit, and no work goes to an outpost without its labels. The slots that are
/// given out are counted in `outposts` and `limits`. Time enters only as the age of the
/// work, so the same input always gives the same answer.
pub fn assign(ready: &[Request], outposts: &mut [Capacity], limits: &mut Limits) -> Vec<Placement> {
    let mut free: u64 = outposts.iter().map(|outpost| u64::from(outpost.free())).sum();
    let mut order: Vec<&Request> = ready.iter().collect();
    order.sort_by_cached_key(|request| rank(request));
    let mut placements = Vec::new();
    for request in order {
        if free == 0 {
            break;
        }
        if let Ok(index) = place(request, outposts, limits) {
            let chosen = &mut outposts[index];
            Arc::make_mut(&mut chosen.in_use).occupy(&request.repo, request.role);
            limits.in_use.occupy(&request.repo, request.role);
            free -= 1;
            placements.push(Placement { work: request.work.clone(), outpost: chosen.outpost.name.clone() });
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
    if let Some(max) = limits.max.get(&(request.repo.clone(), request.role))
        && limits.in_use.of_role(&request.repo, request.role) >= *max
    {
        return Err(Unplaced::RoleLimit { max: *max });
    }
    let carry = |outpost: &Outpost| {
        carries(&outpost.labels, &request.requires) && request.needs.iter().all(|need| need.is_met(&outpost.labels))
    };
    // One that may do better is waited for.
    let fresh = |outpost: &Outpost| !request.avoid.contains(&outpost.name);
    let mut matching = outposts.iter().map(|capacity| &capacity.outpost).filter(|outpost| carry(outpost)).peekable();
    if matching.peek().is_none() {
        return Err(Unplaced::NoMatchingLabels);
    }
    let any_fresh = matching.any(|outpost| fresh(outpost));
    let fits = |outpost: &Outpost| carry(outpost) && (fresh(outpost) || !any_fresh);
    outposts
        .iter()
        .enumerate()
        .filter(|(_, capacity)| capacity.free() > 0 && fits(&capacity.outpost))
        .min_by(|(_, one), (_, other)| preference(one, other, &request.repo))
        .map(|(index, _)| index)
        .ok_or(Unplaced::NoFreeSlot)
}

/// Which of two outposts work of a repo goes to: the lesser. What lies behind the load is compared only where that
/// is equal, since each placement looks at all outposts.
fn preference(one: &Capacity, other: &Capacity, repo: &RepoName) -> Ordering {
    // Load in parts per million, so that the order is total without floating point.
    let load = |Capacity { outpost, in_use }: &Capacity| {
        u64::from(in_use.total()) * 1_000_000 / u64::from(outpost.max_workers)
    };
    let spread = |capacity: &Capacity| (capacity.in_use.of_repo(repo), Reverse(capacity.outpost.max_workers));
    let by_name = || one.outpost.name.cmp(&other.outpost.name);
    let suspect = |capacity: &Capacity| capacity.outpost.suspicion.is_some();
    suspect(one)
        .cmp(&suspect(other))
        .then_with(|| load(one).cmp(&load(other)))
        .then_with(|| spread(one).cmp(&spread(other)))
        .then_with(by_name)
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
