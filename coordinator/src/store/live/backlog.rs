//! The items, in memory: the open ones whole, and of those that are over what others wait for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sprint_core::ids::ItemId;
use sprint_core::item::{Item, ItemKind, Stage, StageName};
use sprint_core::schedule::urgency;

/// The place of a ready item among the others: the most urgent first, then the oldest.
pub(crate) type Place = (i64, ItemId);

/// The facts about an item that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) kind: ItemKind,
    pub(crate) parent: Option<ItemId>,
    /// Done, and not cancelled.
    pub(crate) is_done: bool,
}

/// The parts of a container.
#[derive(Debug, Default)]
struct Parts {
    open: HashSet<ItemId>,
    done: HashSet<ItemId>,
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    open: HashMap<ItemId, Arc<Item>>,
    over: HashMap<ItemId, Over>,
    /// The open items that are ready.
    ready: BTreeMap<Place, Arc<Item>>,
    /// By their container.
    parts: HashMap<ItemId, Parts>,
    /// The finished features, and the done convoys with open parts.
    unsettled: HashSet<ItemId>,
}

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get(&self, id: ItemId) -> Option<&Arc<Item>> {
        self.open.get(&id)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.open.values()
    }

    /// The ready items after a place that can be given out, in order: not a feature, not a part of a convoy,
    /// with all needs done.
    pub(super) fn assignable(&self, after: Place) -> impl Iterator<Item = &Arc<Item>> {
        let later = self.ready.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
        later.map(|(_, item)| item).filter(|item| self.is_assignable(item))
    }

    fn is_assignable(&self, item: &Item) -> bool {
        let in_convoy = item.parent.and_then(|parent| self.kind(parent)) == Some(ItemKind::Convoy);
        item.kind != ItemKind::Feature && !in_convoy && item.needs.iter().all(|need| self.has_landed(*need))
    }

    /// Whether what needs it can begin; see [`Item::has_landed`].
    fn has_landed(&self, id: ItemId) -> bool {
        self.is_done(id) || self.open.get(&id).is_some_and(|item| item.has_landed())
    }

    /// The items whose work has landed here, and is not at the upstream yet.
    pub(super) fn owed(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.open.values().filter(|item| item.has_landed())
    }

    fn is_done(&self, id: ItemId) -> bool {
        self.over.get(&id).is_some_and(|over| over.is_done)
    }

    fn kind(&self, id: ItemId) -> Option<ItemKind> {
        self.open.get(&id).map(|item| item.kind).or_else(|| self.over.get(&id).map(|over| over.kind))
    }

    /// The features that have nothing left to wait for: all parts over, and one at least done.
    pub(super) fn finished_features(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.unsettled.iter().filter_map(|id| self.open.get(id))
    }

    /// The items that wait as parts of a convoy which is done.
    pub(super) fn carried_by_done_convoys(&self) -> impl Iterator<Item = &Arc<Item>> {
        let convoys = self.unsettled.iter().filter(|id| self.over.contains_key(id));
        let parts = convoys.filter_map(|id| self.parts.get(id)).flat_map(|parts| &parts.open);
        parts.filter_map(|id| self.open.get(id)).filter(|item| is_untouched(item))
    }

    /// Whether something is left to do for a container or its parts.
    fn is_unsettled(&self, id: ItemId) -> bool {
        let Some(parts) = self.parts.get(&id) else { return false };
        if let Some(item) = self.open.get(&id) {
            let is_finished = parts.open.is_empty() && !parts.done.is_empty();
            return item.kind == ItemKind::Feature && is_untouched(item) && is_finished;
        }
        self.is_done(id) && self.kind(id) == Some(ItemKind::Convoy) && !parts.open.is_empty()
    }

    /// How many items are in each stage.
    pub(super) fn counts(&self) -> BTreeMap<StageName, u64> {
        let mut counts = BTreeMap::new();
        let over = |over: &Over| if over.is_done { StageName::Done } else { StageName::Cancelled };
        let stages = self.open.values().map(|item| item.stage.name()).chain(self.over.values().map(over));
        for stage in stages {
            *counts.entry(stage).or_default() += 1;
        }
        counts
    }

    /// Takes an item over as it is now; none for one that was removed.
    pub(super) fn update(&mut self, id: ItemId, item: Option<&Arc<Item>>) {
        self.forget(id);
        let Some(item) = item else { return };
        if item.is_over() {
            let is_done = matches!(item.stage, Stage::Done { .. });
            self.update_over(id, Over { kind: item.kind, parent: item.parent, is_done });
            return;
        }
        if matches!(item.stage, Stage::Ready) {
            self.ready.insert(place(item), Arc::clone(item));
        }
        if let Some(parent) = item.parent {
            self.parts.entry(parent).or_default().open.insert(id);
        }
        self.open.insert(id, Arc::clone(item));
        self.look(id, item.parent);
    }

    pub(super) fn update_over(&mut self, id: ItemId, over: Over) {
        if let Some(parent) = over.parent.filter(|_| over.is_done) {
            self.parts.entry(parent).or_default().done.insert(id);
        }
        self.over.insert(id, over);
        self.look(id, over.parent);
    }

    fn forget(&mut self, id: ItemId) {
        let open = self.open.remove(&id);
        let over = self.over.remove(&id);
        if let Some(item) = &open {
            self.ready.remove(&place(item));
        }
        let parent = open.and_then(|item| item.parent).or(over.and_then(|over| over.parent));
        if let Some(parts) = parent.and_then(|parent| self.parts.get_mut(&parent)) {
            parts.open.remove(&id);
            parts.done.remove(&id);
        }
        self.look(id, parent);
    }

    /// Looks again at an item that has changed, and at its container.
    fn look(&mut self, id: ItemId, parent: Option<ItemId>) {
        for id in [Some(id), parent].into_iter().flatten() {
            if self.is_unsettled(id) {
                self.unsettled.insert(id);
            } else {
                self.unsettled.remove(&id);
            }
        }
    }
}

/// Whether no worker has the item.
fn is_untouched(item: &Item) -> bool {
    matches!(item.stage, Stage::Inbox | Stage::Planning | Stage::Ready)
}

fn place(item: &Item) -> Place {
    (urgency(item.priority, item.created_at), item.id)
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
