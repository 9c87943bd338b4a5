//! The snapshot with places instead of ids, so that a set is a few machine words.

use super::bits::Bits;
use super::{Fit, Landing, Policy, QueueMode, Snapshot, TrialProgress};
use crate::ids::{ChangeId, TrialId};

/// No gate is taken to be steadier than this.
const LEAST_FLAKE: f64 = 0.005;

/// A trial by places.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: TrialId,
    pub(super) members: Bits,
    pub(super) size: u32,
    pub(super) fit: Fit,
    pub(super) state: TrialProgress,
    pub(super) green_base: bool,
    /// One of its members was sent back: it cannot land any more.
    pub(super) foreign: bool,
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        match self.state {
            TrialProgress::Running | TrialProgress::Confirming => true,
            TrialProgress::Passed | TrialProgress::Suspect | TrialProgress::Failed | TrialProgress::Unmergeable => {
                false
            }
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.fit == Fit::Exact && !self.foreign
    }

    /// The only member, if there is just one.
    pub(super) fn only(&self) -> Option<usize> {
        if self.size == 1 && !self.foreign { self.members.last() } else { None }
    }
}

/// The snapshot by places in the queue, from 0.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) ids: Vec<ChangeId>,
    pub(super) priors: Vec<f64>,
    pub(super) urgent: Vec<bool>,
    /// The earlier pending changes that each overlaps.
    pub(super) before: Vec<Bits>,
    /// The pending changes whose commits each contains, and theirs.
    pub(super) parents: Vec<Bits>,
    pub(super) rows: Vec<Row>,
    pub(super) policy: Policy,
    pub(super) tip_is_gated: bool,
    pub(super) slots: usize,
    pub(super) clash: super::Clash,
    pub(super) flake: f64,
}

impl Board {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let places = snapshot.changes.len();
        let ids: Vec<ChangeId> = snapshot.changes.iter().map(|change| change.id).collect();
        let index = Index::new(&ids);
        let before = snapshot
            .changes
            .iter()
            .enumerate()
            .map(|(place, change)| {
                let overlaps = change.overlaps.iter().filter_map(|id| index.place(*id));
                Bits::of(places, overlaps.filter(|other| *other < place))
            })
            .collect();
        let direct: Vec<Vec<usize>> = snapshot
            .changes
            .iter()
            .map(|change| change.parents.iter().filter_map(|id| index.place(*id)).collect())
            .collect();
        let parents = (0..places).map(|place| ancestors(place, &direct, places)).collect();
        let rows = snapshot
            .trials
            .iter()
            .map(|trial| {
                let found: Vec<Option<usize>> = trial.members.iter().map(|id| index.place(*id)).collect();
                let members = Bits::of(places, found.iter().flatten().copied());
                Row {
                    id: trial.id,
                    size: members.count(),
                    members,
                    fit: trial.fit,
                    state: trial.state,
                    // What an exact trial's pending members were merged onto is the tip.
                    green_base: trial.green_base || trial.fit == Fit::Exact && snapshot.tip_is_gated,
                    foreign: found.iter().any(Option::is_none),
                }
            })
            .collect();
        Self {
            priors: snapshot.changes.iter().map(|change| change.prior.clamp(0.001, 0.999)).collect(),
            urgent: snapshot.changes.iter().map(|change| change.urgent).collect(),
            ids,
            before,
            parents,
            rows,
            policy: snapshot.policy,
            tip_is_gated: snapshot.tip_is_gated,
            slots: snapshot.slots,
            clash: snapshot.clash,
            flake: snapshot.flake.clamp(LEAST_FLAKE, 0.3),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn set(&self, members: impl IntoIterator<Item = usize>) -> Bits {
        Bits::of(self.len(), members)
    }

    /// What must land or leave before `place` may land.
    pub(super) fn needs(&self, place: usize) -> Bits {
        let mut needs = self.before[place].clone();
        needs.add(&self.parents[place]);
        needs
    }

    /// The pending changes outside of `members` that would have to leave before `members` may land.
    pub(super) fn missing(&self, members: &Bits) -> Bits {
        let mut needs = Bits::empty(self.len());
        for place in members.iter() {
            needs.add(&self.before[place]);
            needs.add(&self.parents[place]);
        }
        needs.minus(members)
    }

    /// Whether a pass of this trial could land its members.
    pub(super) fn may_land(&self, row: &Row) -> bool {
        let fits = match row.fit {
            Fit::Exact => true,
            Fit::Disjoint => self.policy.landing == Landing::Relaxed,
            Fit::Old => false,
        };
        fits && !row.foreign && row.size > 0 && (self.policy.together || row.size == 1)
    }

    pub(super) fn ids_of(&self, members: &Bits) -> Vec<ChangeId> {
        members.iter().map(|place| self.ids[place]).collect()
    }

    pub(super) fn is_open(&self) -> bool {
        match self.policy.pace {
            QueueMode::Open => true,
            QueueMode::Halted | QueueMode::Frozen => false,
        }
    }
}

/// All that `place` descends from.
fn ancestors(place: usize, direct: &[Vec<usize>], places: usize) -> Bits {
    let mut found = Bits::empty(places);
    let mut open = direct[place].clone();
    while let Some(parent) = open.pop() {
        if parent != place && !found.contains(parent) {
            found.insert(parent);
            open.extend(&direct[parent]);
        }
    }
    found
}

/// Finds places by id.
struct Index {
    first: u64,
    /// By distance from `first`, when the ids lie close together.
    table: Vec<u32>,
    sorted: Vec<(ChangeId, usize)>,
}

impl Index {
    fn new(ids: &[ChangeId]) -> Self {
        let mut sorted: Vec<(ChangeId, usize)> = ids.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let first = sorted.first().map_or(0, |(id, _)| id.get());
        let width = sorted.last().map_or(0, |(id, _)| id.get() - first + 1);
        let mut table = Vec::new();
        if width <= 16 * ids.len() as u64 + 1024 {
            table = vec![u32::MAX; usize::try_from(width).unwrap_or(0)];
            for (id, place) in &sorted {
                if let (Ok(distance), Ok(place)) = (usize::try_from(id.get() - first), u32::try_from(*place)) {
                    table[distance] = place;
                }
            }
        }
        Self { first, table, sorted }
    }

    fn place(&self, id: ChangeId) -> Option<usize> {
        if self.table.is_empty() {
            let at = self.sorted.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            return Some(self.sorted[at].1);
        }
        let distance = usize::try_from(id.get().checked_sub(self.first)?).ok()?;
        self.table.get(distance).filter(|place| **place != u32::MAX).map(|place| *place as usize)
    }
}
