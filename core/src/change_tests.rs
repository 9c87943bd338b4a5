#![expect(clippy::single_match_else, reason = "taken or refused: both arms state the property")]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::fixtures;

fn candidate() -> Candidate {
    fixtures::candidate()
}

fn change(state: ChangeState) -> Change {
    fixtures::change(5, 1, state)
}

fn states() -> Vec<(&'static str, ChangeState)> {
    vec![
        ("queued", ChangeState::Queued),
        ("landing", ChangeState::Landing { candidate: candidate() }),
        ("landed", ChangeState::Landed { candidate: candidate() }),
        ("failed", ChangeState::Failed { reason: "why".to_owned() }),
        ("conflicted", ChangeState::Conflicted { paths: vec!["a".to_owned()] }),
    ]
}

fn events() -> Vec<(&'static str, ChangeEvent)> {
    let reason = || "why".to_owned();
    vec![
        (
            "landing_begun",
            ChangeEvent::LandingBegun { candidate: candidate(), trial: Some(TrialId::new(3)), relaxed: false },
        ),
        ("gates_failed", ChangeEvent::GatesFailed { reason: reason(), trial: TrialId::new(3) }),
        ("parent_failed", ChangeEvent::ParentFailed { parent: ChangeId::new(2) }),
        ("conflicted", ChangeEvent::Conflicted { paths: vec!["a".to_owned()], others: vec![] }),
        ("tip_moved", ChangeEvent::TipMoved),
        ("landed", ChangeEvent::Landed),
        ("dropped", ChangeEvent::Dropped { reason: reason() }),
        ("retried", ChangeEvent::Retried),
        (
            "replaced",
            ChangeEvent::Replaced { attempt: Attempt::new(2), head: fixtures::commit("e"), source: None, own: false },
        ),
        ("directed", ChangeEvent::Directed { direct: Direct { skip_gates: false, reason: reason() } }),
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
    /// A change lands only by an intent; what landed stays landed.
    #[test]
    fn fuzz_nothing_lands_without_an_intent(history in proptest::collection::vec(0..8_usize, 0..60)) {
        let mut change = change(ChangeState::Queued);
        for kind in history {
            let before = change.clone();
            let (name, event) = events().swap_remove(kind);
            match change.apply(event, Timestamp::from_millis(1)) {
                Ok(_) => {
                    prop_assert!(before.state.name() != ChangeStateName::Landed);
                    let landed = change.state.name() == ChangeStateName::Landed;
                    prop_assert_eq!(landed, before.state.name() == ChangeStateName::Landing && name == "landed");
                }
                Err(_) => prop_assert_eq!(&change, &before),
            }
        }
    }
}
