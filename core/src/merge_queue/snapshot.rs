//! The planner's input, from the record and from git.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Clash, Fit, Pending, Policy, Snapshot, TrialFacts, TrialProgress};
use crate::footprint::Footprint;
use crate::gates::Gate;
use crate::ids::{ChangeId, CommitId};
use crate::trial::{self, Purpose};

/// One move of the target branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    pub from: CommitId,
    pub to: CommitId,
    /// The changes that it landed; none when the branch was moved outside of the coordinator.
    pub landed: Option<Vec<ChangeId>>,
}

/// What is known of the changes of a repo besides the record: what they touch, and what they contain.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    known: HashMap<ChangeId, (Footprint, BTreeSet<CommitId>)>,
    overlaps: HashMap<ChangeId, BTreeSet<ChangeId>>,
}

impl Contents {
    pub fn knows(&self, change: ChangeId) -> bool {
        self.known.contains_key(&change)
    }

    /// Takes note of what a change touches, and of the commits that it brings.
    pub fn add(&mut self, change: ChangeId, footprint: Footprint, commits: BTreeSet<CommitId>) {
        let others: BTreeSet<ChangeId> =
            self.known.iter().filter(|(_, (other, _))| footprint.overlaps(other)).map(|(other, _)| *other).collect();
        for other in &others {
            self.overlaps.entry(*other).or_default().insert(change);
        }
        self.overlaps.insert(change, others);
        self.known.insert(change, (footprint, commits));
    }

    /// What a change touches; what is unknown touches everything.
    pub fn footprint(&self, change: ChangeId) -> &Footprint {
        self.known.get(&change).map_or(&Footprint::Everything, |(footprint, _)| footprint)
    }

    /// Forgets a change that came back with other commits.
    pub fn forget(&mut self, change: ChangeId) {
        self.known.remove(&change);
        self.overlaps.remove(&change);
        for others in self.overlaps.values_mut() {
            others.remove(&change);
        }
    }

    /// Forgets all changes but these.
    pub fn keep(&mut self, wanted: &BTreeSet<ChangeId>) {
        self.known.retain(|change, _| wanted.contains(change));
        self.overlaps.retain(|change, _| wanted.contains(change));
        for others in self.overlaps.values_mut() {
            others.retain(|change| wanted.contains(change));
        }
    }

    /// Whether two changes overlap; an unknown change overlaps every other.
    pub fn overlap(&self, one: ChangeId, other: ChangeId) -> bool {
        !self.knows(other) || self.overlaps.get(&one).is_none_or(|others| others.contains(&other))
    }

    /// The known changes that overlap a change; none if it is not known itself.
    fn overlaps_of(&self, change: ChangeId) -> Option<&BTreeSet<ChangeId>> {
        self.known.get(&change).and_then(|_| self.overlaps.get(&change))
    }

    fn commits_of(&self, change: ChangeId) -> impl Iterator<Item = &CommitId> {
        self.known.get(&change).into_iter().flat_map(|(_, commits)| commits)
    }
}

/// A change in the queue, as the record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub change: ChangeId,
    pub head: CommitId,
    pub urgent: bool,
}

/// A repo's queue as the record has it.
#[derive(Debug, Clone)]
pub struct Queue<'a> {
    /// In the order of the queue.
    pub entries: &'a [Entry],
    /// Those that are not retired.
    pub trials: &'a [Arc<trial::Trial>],
    /// The moves of the branch that are still known, the oldest first; the last one led to `tip`.
    pub moves: &'a [Move],
    pub tip: &'a CommitId,
    /// The gates that are configured at the tip.
    pub gates: &'a [Gate],
    pub contents: &'a Contents,
    /// The commits of the branch whose trees have passed.
    pub green: &'a BTreeSet<CommitId>,
    pub slots: usize,
    pub policy: Policy,
    pub priors: &'a BTreeMap<ChangeId, f64>,
    pub clash: Clash,
    /// How often gates fail and then pass on the same tree, from history.
    pub flake: f64,
}

/// Makes the planner's snapshot.
pub fn snapshot(queue: &Queue<'_>) -> Snapshot {
    let mut changes = Vec::with_capacity(queue.entries.len());
    let places: HashMap<ChangeId, usize> =
        queue.entries.iter().enumerate().map(|(place, entry)| (entry.change, place)).collect();
    let mut heads: HashMap<&CommitId, Vec<usize>> = HashMap::new();
    for (place, entry) in queue.entries.iter().enumerate() {
        heads.entry(&entry.head).or_default().push(place);
    }
    let change = |place: usize| queue.entries[place].change;
    for (place, entry) in queue.entries.iter().enumerate() {
        let overlapping = match queue.contents.overlaps_of(entry.change) {
            Some(overlaps) => {
                let mut before: BTreeSet<usize> =
                    overlaps.iter().filter_map(|other| places.get(other).copied()).collect();
                before.extend((0..place).filter(|other| !queue.contents.knows(change(*other))));
                before.into_iter().filter(|other| *other < place).collect::<Vec<_>>()
            }
            None => (0..place).collect(),
        };
        // A branch may contain one that the queue's order puts behind it.
        let held = queue.contents.commits_of(entry.change).filter(|commit| **commit != entry.head);
        let parents: BTreeSet<usize> = held.filter_map(|commit| heads.get(commit)).flatten().copied().collect();
        changes.push(Pending {
            id: entry.change,
            overlaps: overlapping.into_iter().map(change).collect(),
            parents: parents.into_iter().map(change).collect(),
            prior: queue.priors.get(&entry.change).copied().unwrap_or(0.9),
            urgent: entry.urgent,
        });
    }
    Snapshot {
        changes,
        trials: queue.trials.iter().filter_map(|trial| seen(queue, trial)).collect(),
        tip_is_gated: queue.green.contains(queue.tip),
        slots: queue.slots,
        policy: queue.policy,
        clash: queue.clash,
        flake: queue.flake,
    }
}

/// A trial as the planner sees it; none when it concerns nothing that is pending.
fn seen(queue: &Queue<'_>, trial: &trial::Trial) -> Option<TrialFacts> {
    match trial.purpose {
        Purpose::Queue | Purpose::Tip | Purpose::Join => {}
        // They are not the planner's to end.
        Purpose::Direct | Purpose::Hand => return None,
    }
    let state = match &trial.state {
        trial::TrialState::Gating if trial.confirming => TrialProgress::Confirming,
        trial::TrialState::Gating => TrialProgress::Running,
        trial::TrialState::Passed => TrialProgress::Passed,
        trial::TrialState::Suspect { .. } => TrialProgress::Suspect,
        trial::TrialState::Failed { .. } => TrialProgress::Failed,
        trial::TrialState::Unmergeable { .. } => TrialProgress::Unmergeable,
        trial::TrialState::Cancelled { .. } => return None,
    };
    let (members, fit) = standing(queue, trial)?;
    if members.is_empty() && (fit != Fit::Exact || trial.candidate.commit != *queue.tip) {
        return None;
    }
    let green_base = queue.green.contains(&trial.candidate.base);
    Some(TrialFacts { id: trial.id, members, fit, state, green_base })
}

/// What is left of a trial's members, and how its foundation compares with the tip; none when one of its members
/// left the queue without having landed, or came back with other commits.
pub fn standing(queue: &Queue<'_>, trial: &trial::Trial) -> Option<(Vec<ChangeId>, Fit)> {
    let since = if trial.candidate.base == *queue.tip {
        Some(&queue.moves[queue.moves.len()..])
    } else {
        let start = queue.moves.iter().rposition(|step| step.from == trial.candidate.base);
        start.map(|start| &queue.moves[start..])
    };
    let landed: Option<Vec<ChangeId>> = since.and_then(|moves| {
        let landed: Option<Vec<_>> = moves.iter().map(|step| step.landed.as_deref()).collect();
        landed.map(|landed| landed.concat())
    });
    let mut members = Vec::new();
    for member in &trial.members {
        if landed.as_ref().is_some_and(|landed| landed.contains(&member.change)) {
            continue;
        }
        queue.entries.iter().find(|entry| entry.change == member.change && entry.head == member.head)?;
        members.push(member.change);
    }
    let Some(landed) = landed else { return Some((members, Fit::Old)) };
    let strange = landed.iter().filter(|change| !trial.holds(**change)).collect::<Vec<_>>();
    let fit = if trial.candidate.gates != queue.gates {
        Fit::Old
    } else if strange.is_empty() {
        Fit::Exact
    } else if members.iter().any(|member| strange.iter().any(|other| queue.contents.overlap(*member, **other))) {
        Fit::Old
    } else {
        Fit::Disjoint
    };
    Some((members, fit))
}
