#![expect(clippy::single_match_else, reason = "taken or refused: both arms state the property")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, commit, lease};
use crate::fuzz::texts;
use crate::needs::find_cycle;

fn now() -> Timestamp {
    Timestamp::from_millis(1_000)
}

fn item(stage: Stage) -> Item {
    Item { stage, ..fixtures::item(1, 2) }
}

fn stages() -> Vec<Stage> {
    vec![
        Stage::Inbox,
        Stage::Planning,
        Stage::Ready,
        Stage::InProgress { lease: lease(7) },
        Stage::InReview,
        Stage::InTests,
        Stage::Merging { change: ChangeId::new(5), landed: None },
        Stage::Merging { change: ChangeId::new(5), landed: Some(commit("a")) },
        Stage::InDocs,
        Stage::Done { commit: None },
        Stage::Done { commit: Some(commit("a")) },
        Stage::Blocked { reason: "why".to_owned() },
        Stage::Cancelled { reason: "why".to_owned() },
    ]
}

fn events(attempt: Attempt, change: ChangeId) -> Vec<ItemEvent> {
    let reason = || "why".to_owned();
    vec![
        ItemEvent::Readied,
        ItemEvent::Leased { attempt, lease: lease(7) },
        ItemEvent::Delivered { attempt, change },
        ItemEvent::AttemptFailed { attempt, reason: reason(), detail: String::new(), max_attempts: 3, avoid: None },
        ItemEvent::AttemptLost { attempt, reason: reason(), retry_at: Timestamp::from_millis(9_000), avoid: None },
        ItemEvent::Rejected {
            change,
            reason: reason(),
            detail: String::new(),
            conflict: Some(fixtures::conflict(change)),
            max_attempts: 3,
        },
        ItemEvent::Landed { change, commit: commit("a"), delivery: Delivery::Complete },
        ItemEvent::AtUpstream { commit: commit("a") },
        ItemEvent::Undone { reason: reason() },
        ItemEvent::ChildrenDone,
        ItemEvent::ConvoyDone { convoy: ItemId::new(9), commit: commit("a") },
        ItemEvent::Requeued { change },
        ItemEvent::Submitted { attempt, change },
        ItemEvent::NothingToDo { attempt, reason: "it is there".to_owned(), way: NothingToDo::Done },
        ItemEvent::Resolved { reason: "done by hand".to_owned() },
        ItemEvent::Retried,
        ItemEvent::Blocked { reason: reason() },
        ItemEvent::Cancelled { reason: reason() },
    ]
}

fn outcome(item: &Item, result: &Result<Vec<ItemEffect>, Refused>) -> String {
    match result {
        Ok(effects) => {
            let effects = serde_json::to_string(effects).expect("effects serialise");
            format!("{} {effects}", item.stage.name())
        }
        Err(Refused::Illegal { .. }) => "-".to_owned(),
        Err(Refused::StaleAttempt { .. }) => "stale".to_owned(),
    }
}

#[test]
fn the_whole_table_of_stages_and_events() {
    let mut table = String::new();
    for stage in stages() {
        for (event, live) in events(Attempt::new(2), ChangeId::new(5)).into_iter().map(|event| (event, "")).chain([
            (ItemEvent::Leased { attempt: Attempt::new(3), lease: lease(7) }, " (next attempt)"),
            (ItemEvent::Delivered { attempt: Attempt::new(1), change: ChangeId::new(5) }, " (older attempt)"),
            (
                ItemEvent::Landed { change: ChangeId::new(5), commit: commit("a"), delivery: Delivery::Owed },
                " (to bring upstream)",
            ),
            (
                ItemEvent::Landed { change: ChangeId::new(6), commit: commit("a"), delivery: Delivery::Complete },
                " (another change)",
            ),
            (ItemEvent::AtUpstream { commit: commit("b") }, " (another commit)"),
        ]) {
            let mut item = item(stage.clone());
            let name = event.name();
            let to_bring = if item.has_landed() && !item.is_over() { "+" } else { "" };
            let result = item.apply(event, now());
            let _ = writeln!(
                table,
                "{:12} {:34} {}",
                format!("{}{to_bring}", stage.name()),
                format!("{name}{live}"),
                outcome(&item, &result)
            );
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_last_allowed_failure_blocks_with_the_reason_and_keeps_every_feedback() {
    let mut item = item(Stage::Ready);
    item.attempt = Attempt::default();
    for round in 1..=3 {
        item.apply(ItemEvent::Leased { attempt: item.attempt.next(), lease: lease(7) }, now()).expect("it is ready");
        let failed = ItemEvent::AttemptFailed {
            attempt: item.attempt,
            reason: format!("broken {round}"),
            detail: "the log".to_owned(),
            max_attempts: 3,
            avoid: None,
        };
        item.apply(failed, now()).expect("it is in progress");
    }
    assert_eq!(item.stage, Stage::Blocked { reason: "attempt 3 of 3 failed: broken 3".to_owned() });
    assert_eq!(item.feedback.len(), 3);
    assert_eq!(item.feedback[0].text, "broken 1\n\nthe log");
}

#[test]
fn infrastructure_failure_counts_against_no_attempt() {
    let mut item = item(Stage::InProgress { lease: lease(7) });
    let lost = ItemEvent::AttemptLost {
        attempt: Attempt::new(2),
        reason: "gone".to_owned(),
        retry_at: Timestamp::from_millis(9_000),
        avoid: None,
    };
    item.apply(lost, now()).expect("it is in progress");
    assert_eq!((item.failures, item.losses), (0, 1));
    assert_eq!((item.stage.name(), item.not_before), (StageName::Ready, Some(Timestamp::from_millis(9_000))));
}

#[test]
fn nothing_to_do_is_done_only_where_the_repo_says_so_and_no_criterion_stands() {
    let begun = || item(Stage::InProgress { lease: lease(7) });
    let after = |mut item: Item, way| {
        let event = ItemEvent::NothingToDo { attempt: Attempt::new(2), reason: "it is there".to_owned(), way };
        let effects = item.apply(event, now()).expect("it is in progress");
        assert_eq!(effects, [ItemEffect::Settle]);
        item
    };
    assert_eq!(after(begun(), NothingToDo::Done).stage, Stage::Done { commit: None });
    let strict = Item { acceptance: vec!["a test covers it".to_owned()], ..begun() };
    for mut waiting in [after(begun(), NothingToDo::Block), after(strict, NothingToDo::Done)] {
        assert_eq!(waiting.reason(), "nothing to do, says attempt 2: it is there");
        assert!(waiting.nothing_to_do && !waiting.has_landed());
        let mut accepted = waiting.clone();
        accepted.apply(ItemEvent::Resolved { reason: "so it is".to_owned() }, now()).expect("it is blocked");
        assert!(accepted.has_landed() && !accepted.nothing_to_do);
        waiting.apply(ItemEvent::Retried, now()).expect("it is blocked");
        assert!(waiting.stage == Stage::Ready && !waiting.nothing_to_do);
    }
}

#[test]
fn a_cycle_is_found_and_named_as_a_path() {
    let needs = BTreeMap::from([
        (1, BTreeSet::from([ItemId::new(2)])),
        (2, BTreeSet::from([ItemId::new(3), ItemId::new(4)])),
        (3, BTreeSet::new()),
        (4, BTreeSet::from([ItemId::new(2)])),
    ]);
    let cycle = find_cycle([ItemId::new(1)], |id| needs.get(&id.get())).expect("there is one");
    assert_eq!(cycle.iter().map(|id| id.get()).collect::<Vec<_>>(), [2, 4, 2]);
    assert_eq!(find_cycle([ItemId::new(3)], |id| needs.get(&id.get())), None);
}

#[test]
fn a_chain_of_a_hundred_thousand_needs_is_searched() {
    let needs: BTreeMap<u64, BTreeSet<ItemId>> =
        (1..100_000).map(|id| (id, BTreeSet::from([ItemId::new(id + 1)]))).collect();
    assert_eq!(find_cycle((1..100_000).map(ItemId::new), |id| needs.get(&id.get())), None);
}

fn any_event() -> impl Strategy<Value = ItemEvent> {
    let attempt = prop_oneof![9 => 0..5_u32, 1 => any::<u32>()];
    let texts = || texts(&["it failed", "exited with code 1\n\n  "]);
    (0..18_usize, attempt, 4..7_u64, texts(), texts(), any::<(u32, i64)>()).prop_map(
        |(kind, attempt, change, text, log, (number, time))| {
            let mut event = events(Attempt::new(attempt), ChangeId::new(change)).swap_remove(kind);
            // What a report says of itself is the outpost's, or its worker's, to choose.
            match &mut event {
                ItemEvent::AttemptFailed { reason, detail, max_attempts, .. }
                | ItemEvent::Rejected { reason, detail, max_attempts, .. } => {
                    (*reason, *detail, *max_attempts) = (text, log, number);
                }
                ItemEvent::AttemptLost { reason, retry_at, .. } => {
                    (*reason, *retry_at) = (text, Timestamp::from_millis(time));
                }
                ItemEvent::Undone { reason }
                | ItemEvent::NothingToDo { reason, .. }
                | ItemEvent::Resolved { reason }
                | ItemEvent::Blocked { reason }
                | ItemEvent::Cancelled { reason } => {
                    *reason = text;
                }
                ItemEvent::Readied
                | ItemEvent::Leased { .. }
                | ItemEvent::Delivered { .. }
                | ItemEvent::Landed { .. }
                | ItemEvent::AtUpstream { .. }
                | ItemEvent::ChildrenDone
                | ItemEvent::ConvoyDone { .. }
                | ItemEvent::Requeued { .. }
                | ItemEvent::Submitted { .. }
                | ItemEvent::Retried => {}
            }
            event
        },
    )
}

proptest! {
    /// Whatever happens in whatever order: attempts only grow, by one, and only by a lease or a person's commits;
    /// a refused event changes nothing; what is done stays done unless its landing is gone; a lease is held in progress only.
    #[test]
    fn fuzz_invariants_hold_in_every_history(history in proptest::collection::vec(any_event(), 0..60)) {
        let mut item = item(Stage::Inbox);
        item.attempt = Attempt::default();
        for event in history {
            let before = item.clone();
            let leased = matches!(event, ItemEvent::Leased { .. });
            let undone = matches!(event, ItemEvent::Undone { .. });
            let submitted = matches!(event, ItemEvent::Submitted { .. });
            match item.apply(event, now()) {
                Ok(_) => {
                    let grown = item.attempt.get() - before.attempt.get();
                    prop_assert!(grown == u32::from(leased) || (submitted && grown == 1));
                    prop_assert!(before.stage.name() != StageName::Done || undone);
                }
                Err(_) => prop_assert_eq!(&item, &before),
            }
            prop_assert_eq!(item.worker().is_some(), item.stage.name() == StageName::InProgress);
            prop_assert!(item.feedback.len() >= before.feedback.len());
        }
    }

    /// The search agrees with the definition: a cycle is reported exactly when a node reaches itself.
    #[test]
    fn cycles_are_found_exactly_when_there_are_some(edges in proptest::collection::vec((1..9_u64, 1..9_u64), 0..16)) {
        let mut needs = BTreeMap::<u64, BTreeSet<ItemId>>::new();
        for (from, to) in &edges {
            needs.entry(*from).or_default().insert(ItemId::new(*to));
        }
        let mut reach = [[false; 9]; 9];
        for (from, to) in &edges {
            reach[usize::try_from(*from).unwrap()][usize::try_from(*to).unwrap()] = true;
        }
        for via in 1..9 {
            for from in 1..9 {
                for to in 1..9 {
                    reach[from][to] |= reach[from][via] && reach[via][to];
                }
            }
        }
        let expected = (1..9).any(|node| reach[node][node]);
        let found = find_cycle((1..9).map(ItemId::new), |id| needs.get(&id.get()));
        prop_assert_eq!(found.is_some(), expected);
        if let Some(cycle) = found {
            prop_assert_eq!(cycle.first(), cycle.last());
            for pair in cycle.windows(2) {
                prop_assert!(needs[&pair[0].get()].contains(&pair[1]));
            }
        }
    }
}

#[test]
fn stage_since_is_the_time_of_the_last_change_of_stage() {
    let at = Timestamp::from_millis;
    let mut item = Item { stage: Stage::Inbox, stage_since: None, ..fixtures::item(1, 0) };
    item.apply(ItemEvent::Readied, at(5)).unwrap();
    assert_eq!(item.stage_since, Some(at(5)));
    item.not_before = Some(at(60));
    item.apply(ItemEvent::Retried, at(7)).unwrap();
    assert_eq!((item.stage_since, item.updated_at), (Some(at(5)), at(7)), "it was ready before, too");
    item.apply(ItemEvent::Cancelled { reason: "no".to_owned() }, at(9)).unwrap();
    assert_eq!(item.stage_since, Some(at(9)));
}
