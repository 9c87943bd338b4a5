//! The backlog that grew item by item, compared with the items themselves.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sprint_core::fixtures;
use sprint_core::item::Priority;
use sprint_core::time::Timestamp;

use super::*;

const ITEMS: u64 = 6;

fn any_stage() -> impl Strategy<Value = Stage> {
    let reason = || "why".to_owned();
    prop_oneof![
        1 => Just(Stage::Inbox),
        3 => Just(Stage::Ready),
        1 => Just(Stage::InTests),
        1 => Just(Stage::Blocked { reason: reason() }),
        2 => Just(Stage::Cancelled { reason: reason() }),
        3 => Just(Stage::Done { commit: None }),
    ]
}

/// An item as it is at some moment. Needs and parents may change, and what is over may begin again.
fn any_item() -> impl Strategy<Value = Item> {
    let kind = prop_oneof![Just(ItemKind::Task), Just(ItemKind::Feature), Just(ItemKind::Convoy)];
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Urgent)];
    let parent = prop::option::of(1..=ITEMS);
    let needs = prop::collection::btree_set((1..=ITEMS).prop_map(ItemId::new), 0..2);
    (1..=ITEMS, any_stage(), kind, priority, parent, needs).prop_map(|(id, stage, kind, priority, parent, needs)| {
        Item {
            stage,
            kind,
            priority,
            parent: parent.map(ItemId::new),
            needs,
            created_at: Timestamp::from_millis(i64::try_from(id).unwrap_or_default()),
            ..fixtures::item(id, 0)
        }
    })
}

/// The same answers, found by looking at every item.
struct Every(BTreeMap<ItemId, Item>);

impl Every {
    fn ids(&self, wanted: impl Fn(&Item) -> bool) -> BTreeSet<ItemId> {
        self.0.values().filter(|item| wanted(item)).map(|item| item.id).collect()
    }

    fn is_done(&self, id: ItemId) -> bool {
        self.0.get(&id).is_some_and(|item| matches!(item.stage, Stage::Done { .. }))
    }

    fn is_convoy(&self, id: ItemId) -> bool {
        self.0.get(&id).is_some_and(|item| item.kind == ItemKind::Convoy)
    }

    fn assignable(&self) -> BTreeSet<ItemId> {
        self.ids(|item| {
            matches!(item.stage, Stage::Ready)
                && item.kind != ItemKind::Feature
                && !item.parent.is_some_and(|parent| self.is_convoy(parent))
                && item.needs.iter().all(|need| self.is_done(*need))
        })
    }

    fn finished_features(&self) -> BTreeSet<ItemId> {
        let parts = |id| self.0.values().filter(move |item| item.parent == Some(id));
        self.ids(|item| {
            waits(item)
                && item.kind == ItemKind::Feature
                && parts(item.id).all(Item::is_over)
                && parts(item.id).any(|part| self.is_done(part.id))
        })
    }

    fn carried(&self) -> BTreeSet<ItemId> {
        let carried = |parent| self.is_done(parent) && self.is_convoy(parent);
        self.ids(|item| waits(item) && item.parent.is_some_and(carried))
    }

    fn counts(&self) -> BTreeMap<StageName, u64> {
        let mut counts = BTreeMap::new();
        for item in self.0.values() {
            *counts.entry(item.stage.name()).or_default() += 1;
        }
        counts
    }
}

fn waits(item: &Item) -> bool {
    matches!(item.stage, Stage::Inbox | Stage::Planning | Stage::Ready)
}

fn set<'a>(items: impl Iterator<Item = &'a Arc<Item>>) -> BTreeSet<ItemId> {
    items.map(|item| item.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn a_backlog_that_grew_item_by_item_says_what_all_items_say(items in prop::collection::vec(any_item(), 1..40)) {
        let (mut backlog, mut every) = (Backlog::default(), Every(BTreeMap::new()));
        for item in items {
            backlog.update(item.id, Some(&Arc::new(item.clone())));
            every.0.insert(item.id, item);
            let assignable = backlog.assignable((i64::MIN, ItemId::default())).collect::<Vec<_>>();
            prop_assert!(assignable.is_sorted_by_key(|item| place(item)));
            prop_assert_eq!(set(assignable.into_iter()), every.assignable());
            prop_assert_eq!(set(backlog.finished_features()), every.finished_features());
            prop_assert_eq!(set(backlog.carried_by_done_convoys()), every.carried());
            prop_assert_eq!(backlog.counts(), every.counts());
        }
    }
}
