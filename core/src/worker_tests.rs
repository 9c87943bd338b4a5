#![expect(clippy::single_match_else, reason = "taken or refused: both arms state the property")]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::fixtures;

fn worker(state: WorkerState) -> Worker {
    fixtures::worker(7, 1, state)
}

fn states() -> Vec<WorkerState> {
    let reason = || "why".to_owned();
    vec![
        WorkerState::Assigned,
        WorkerState::Starting,
        WorkerState::Running,
        WorkerState::Finishing { exit_code: Some(0) },
        WorkerState::Done { exit_code: Some(0) },
        WorkerState::Failed { exit_code: Some(1), reason: reason() },
        WorkerState::Lost { reason: reason() },
    ]
}

fn events() -> Vec<WorkerEvent> {
    let reason = || "why".to_owned();
    vec![
        WorkerEvent::Accepted,
        WorkerEvent::Started { terminal: None },
        WorkerEvent::Exited { exit_code: Some(0) },
        WorkerEvent::Completed { exit_code: Some(0) },
        WorkerEvent::Failed { exit_code: Some(1), reason: reason() },
        WorkerEvent::Lost { reason: reason() },
        WorkerEvent::StopRequested { reason: reason() },
    ]
}

#[test]
fn the_whole_table_of_states_and_events() {
    let mut table = String::new();
    for state in states() {
        for event in events() {
            let mut worker = worker(state.clone());
            let name = event.name();
            let outcome = match worker.apply(event, Timestamp::from_millis(1)) {
                Ok(effects) => {
                    format!("{} {}", worker.state.name(), serde_json::to_string(&effects).expect("effects serialise"))
                }
                Err(_) => "-".to_owned(),
            };
            let _ = writeln!(table, "{:10} {name:15} {outcome}", state.name());
        }
    }
    insta::assert_snapshot!(table);
}

proptest! {
    /// A worker ends once, frees its slot exactly then, and a refused event changes nothing.
    #[test]
    fn fuzz_a_worker_ends_once(history in proptest::collection::vec(0..7_usize, 0..40)) {
        let mut worker = worker(WorkerState::Assigned);
        let mut freed = 0;
        for kind in history {
            let before = worker.clone();
            match worker.apply(events().swap_remove(kind), Timestamp::from_millis(1)) {
                Ok(effects) => {
                    prop_assert!(before.state.is_live());
                    let frees = effects.contains(&WorkerEffect::FreeSlot);
                    prop_assert_eq!(frees, !worker.state.is_live());
                    freed += u32::from(frees);
                }
                Err(_) => prop_assert_eq!(&worker, &before),
            }
            prop_assert_eq!(worker.ended_at.is_some(), !worker.state.is_live());
        }
        prop_assert!(freed <= 1);
    }
}
