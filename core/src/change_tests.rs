#![expect(clippy::single_match_else, reason = "taken or refused: both arms state the property")]

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn commit(digit: &str) -> CommitId {
    CommitId::new(digit.repeat(40)).expect("forty digits")
}

fn tree(digit: &str) -> TreeId {
    TreeId::new(digit.repeat(40)).expect("forty digits")
}

fn candidate() -> Candidate {
    let gate = Gate { name: "test".to_owned(), run: "true".to_owned(), timeout: Duration::from_secs(1) };
    Candidate { commit: commit("c"), tree: tree("d"), base: commit("b"), gates: vec![gate] }
}

fn change(state: ChangeState) -> Change {
    Change {
        id: ChangeId::new(5),
        repo: RepoName::new("demo").expect("a name"),
        item: ItemId::new(1),
        attempt: Attempt::new(1),
        head: commit("a"),
        state,
        losses: 0,
        not_before: None,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

fn states() -> Vec<(&'static str, ChangeState)> {
    vec![
        ("queued", ChangeState::Queued),
        ("gating (waits)", ChangeState::Gating { candidate: candidate(), worker: None }),
        ("gating (runs)", ChangeState::Gating { candidate: candidate(), worker: Some(WorkerId::new(7)) }),
        ("landing", ChangeState::Landing { candidate: candidate() }),
        ("landed", ChangeState::Landed { candidate: candidate() }),
        ("failed", ChangeState::Failed { reason: "why".to_owned() }),
        ("conflicted", ChangeState::Conflicted { paths: vec!["a".to_owned()] }),
    ]
}

fn events() -> Vec<(&'static str, ChangeEvent)> {
    let reason = || "why".to_owned();
    vec![
        ("gated", ChangeEvent::Gated { candidate: candidate() }),
        ("gate_assigned", ChangeEvent::GateAssigned { worker: WorkerId::new(7) }),
        ("gates_passed", ChangeEvent::GatesPassed { commit: commit("c"), tree: tree("d") }),
        ("gates_passed (another commit)", ChangeEvent::GatesPassed { commit: commit("e"), tree: tree("d") }),
        ("gates_passed (another tree)", ChangeEvent::GatesPassed { commit: commit("c"), tree: tree("e") }),
        ("gates_failed", ChangeEvent::GatesFailed { reason: reason() }),
        ("gates_lost", ChangeEvent::GatesLost { reason: reason(), retry_at: Timestamp::from_millis(9) }),
        ("ungated", ChangeEvent::Ungated { candidate: candidate() }),
        ("conflicted", ChangeEvent::Conflicted { paths: vec!["a".to_owned()] }),
        ("tip_moved", ChangeEvent::TipMoved),
        ("landed", ChangeEvent::Landed),
        ("dropped", ChangeEvent::Dropped { reason: reason() }),
        ("retried", ChangeEvent::Retried),
    ]
}

#[test]
fn the_whole_table_of_states_and_events() {
    let mut table = String::new();
    for (state_name, state) in states() {
        for (event_name, event) in events() {
            let mut change = change(state.clone());
            let outcome = match change.apply(event, Timestamp::from_millis(1)) {
                Ok(effects) => {
                    format!("{} {}", change.state.name(), serde_json::to_string(&effects).expect("effects serialise"))
                }
                Err(_) => "-".to_owned(),
            };
            let _ = writeln!(table, "{state_name:15} {event_name:30} {outcome}");
        }
    }
    insta::assert_snapshot!(table);
}

proptest! {
    /// A change with gates lands only after a pass for its very candidate; what landed stays landed.
    #[test]
    fn fuzz_nothing_lands_without_its_own_pass(history in proptest::collection::vec(0..13_usize, 0..60)) {
        let mut change = change(ChangeState::Queued);
        let mut passed = false;
        for kind in history {
            let before = change.clone();
            let (name, event) = events().swap_remove(kind);
            match change.apply(event, Timestamp::from_millis(1)) {
                Ok(_) => {
                    prop_assert!(before.state.name() != ChangeStateName::Landed);
                    prop_assert!(!name.starts_with("gates_passed ("), "another tree's pass counted");
                    match change.state.name() {
                        ChangeStateName::Landing => passed |= name == "gates_passed" || name == "ungated",
                        ChangeStateName::Landed => prop_assert!(passed),
                        ChangeStateName::Queued
                        | ChangeStateName::Gating
                        | ChangeStateName::Failed
                        | ChangeStateName::Conflicted => passed = false,
                    }
                }
                Err(_) => prop_assert_eq!(&change, &before),
            }
        }
    }
}
