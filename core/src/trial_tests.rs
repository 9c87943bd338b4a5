use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, gate, outpost_name, verdict};
use crate::gates::GateOutcome;

/// Two gates in the first stage, one in the second.
fn trial() -> Trial {
    let mut late = gate("late");
    late.stage = 2;
    let candidate = Candidate { gates: vec![gate("one"), gate("two"), late], ..fixtures::candidate() };
    let Trial { id, repo, purpose, members, .. } = fixtures::trial(1, &[(1, 1)]);
    Trial::begin(id, repo, purpose, members, candidate, Timestamp::default())
}

fn at(trial: &mut Trial, event: TrialEvent) -> Vec<TrialEffect> {
    trial.apply(event, Timestamp::from_millis(1)).expect("is taken")
}

fn assign(trial: &mut Trial, gate: &str, worker: u64) {
    at(trial, TrialEvent::GateAssigned { gate: gate.to_owned(), worker: WorkerId::new(worker) });
}

fn pass(trial: &mut Trial, name: &str, worker: u64) -> Vec<TrialEffect> {
    let verdict = verdict(&gate(name), GateOutcome::Passed);
    at(trial, TrialEvent::GatePassed { worker: WorkerId::new(worker), verdict })
}

fn fail(trial: &mut Trial, name: &str, worker: u64) -> Vec<TrialEffect> {
    let verdict = verdict(&gate(name), GateOutcome::Failed);
    at(trial, TrialEvent::GateFailed { worker: WorkerId::new(worker), verdict, detail: String::new() })
}

fn startable(trial: &Trial) -> Vec<&str> {
    trial.startable().map(|run| run.gate.name.as_str()).collect()
}

#[test]
fn a_stage_begins_when_all_before_it_passed_and_the_last_pass_is_the_trials() {
    let mut trial = trial();
    assert_eq!(startable(&trial), ["one", "two"]);
    assign(&mut trial, "one", 1);
    assign(&mut trial, "two", 2);
    pass(&mut trial, "one", 1);
    assert_eq!(startable(&trial), [""; 0]);
    assert_eq!(pass(&mut trial, "two", 2), [TrialEffect::Schedule]);
    assert_eq!(startable(&trial), ["late"]);
    assign(&mut trial, "late", 3);
    assert_eq!(pass(&mut trial, "late", 3), [TrialEffect::Merge]);
    assert_eq!(trial.state, TrialState::Passed);
}

#[test]
fn a_failure_ends_what_runs_beside_it_and_counts_only_the_second_time() {
    let mut trial = trial();
    assign(&mut trial, "one", 1);
    assign(&mut trial, "two", 2);
    let effects = fail(&mut trial, "one", 1);
    assert_eq!(effects, [TrialEffect::StopWorker { worker: WorkerId::new(2) }, TrialEffect::Merge]);
    assert_eq!(trial.state.name(), TrialStateName::Suspect);
    assert_eq!(startable(&trial), [""; 0]);
    at(&mut trial, TrialEvent::Confirming);
    assert_eq!(startable(&trial), ["one", "two"]);
    let mut flaky = trial.clone();
    assign(&mut trial, "one", 3);
    fail(&mut trial, "one", 3);
    assert_eq!(trial.state.name(), TrialStateName::Failed);
    for (gate, worker) in [("one", 3), ("two", 4), ("late", 5)] {
        assign(&mut flaky, gate, worker);
        pass(&mut flaky, gate, worker);
    }
    assert_eq!(flaky.state, TrialState::Passed);
    assert_eq!(flaky.runs.iter().map(|run| run.flaky).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn retries_come_before_suspicion() {
    let mut trial = trial();
    trial.runs[0].gate.retries = 1;
    assign(&mut trial, "one", 1);
    assert_eq!(fail(&mut trial, "one", 1), [TrialEffect::Schedule]);
    assert_eq!(trial.state, TrialState::Gating);
    assign(&mut trial, "one", 2);
    fail(&mut trial, "one", 2);
    assert_eq!(trial.state.name(), TrialStateName::Suspect);
}

#[test]
fn what_no_outpost_can_run_fails_in_the_end() {
    let mut trial = trial();
    for worker in 1..=u64::from(EXCUSES) {
        assert_eq!(trial.state, TrialState::Gating);
        assign(&mut trial, "one", worker);
        let verdict = verdict(&gate("one"), GateOutcome::NotFound);
        let retry_at = Timestamp::default();
        let outpost = outpost_name();
        at(&mut trial, TrialEvent::GateExcused { worker: WorkerId::new(worker), outpost, verdict, retry_at });
    }
    assert_eq!(trial.state.name(), TrialStateName::Failed, "nothing is left to confirm");
    assert!(trial.reason().contains("command not found"), "{}", trial.reason());
}

proptest! {
    /// Whatever comes in whatever order: refused events change nothing, a pass needs every gate's own pass, and
    /// a trial that is over waits for no worker.
    #[test]
    fn fuzz_a_trial_passes_only_when_each_gate_has(history in proptest::collection::vec((0..8_usize, 0..3_usize, 1..4_u64), 0..60)) {
        let mut trial = trial();
        let names = ["one", "two", "late"];
        let mut passed = std::collections::BTreeSet::new();
        for (kind, gate_number, worker) in history {
            let name = names[gate_number];
            let own = |outcome| verdict(&gate(name), outcome);
            let retry_at = Timestamp::default();
            let worker = WorkerId::new(worker);
            let running = trial.run_of(worker).map(|run| run.gate.name.clone());
            let event = match kind {
                0 => TrialEvent::GateAssigned { gate: name.to_owned(), worker },
                1 | 2 => TrialEvent::GatePassed { worker, verdict: own(GateOutcome::Passed) },
                3 => TrialEvent::GateFailed { worker, verdict: own(GateOutcome::Failed), detail: String::new() },
                4 => TrialEvent::GateExcused { worker, outpost: outpost_name(), verdict: own(GateOutcome::TimedOut), retry_at },
                5 => TrialEvent::GateLost { worker, reason: String::new(), retry_at, avoid: None },
                6 => TrialEvent::Confirming,
                _ => TrialEvent::Retired,
            };
            let before = trial.clone();
            // Its caller gives a worker one gate only.
            if kind == 0 && running.is_some() {
                continue;
            }
            match trial.apply(event, Timestamp::default()) {
                Ok(_) if kind == 1 || kind == 2 => {
                    passed.extend(running);
                }
                Ok(_) => {}
                Err(_) => prop_assert_eq!(&trial, &before),
            }
            if trial.state == TrialState::Passed {
                prop_assert_eq!(passed.len(), 3);
            }
            let waits = trial.runs.iter().any(|run| run.worker().is_some());
            prop_assert!(!waits || trial.state == TrialState::Gating);
        }
    }
}

/// Metrics and scripts compare these words; nothing else ties them to the names of the events.
#[test]
fn the_kinds_of_a_gates_results_are_those_that_are_counted() {
    let (worker, retry_at) = (WorkerId::new(1), Timestamp::from_millis(2));
    let verdict = |outcome| verdict(&gate("test"), outcome);
    let outpost = outpost_name();
    let passed = TrialEvent::GatePassed { worker, verdict: verdict(GateOutcome::Passed) };
    let failed = TrialEvent::GateFailed { worker, verdict: verdict(GateOutcome::Failed), detail: String::new() };
    let excused = TrialEvent::GateExcused { worker, outpost, verdict: verdict(GateOutcome::Failed), retry_at };
    let lost = TrialEvent::GateLost { worker, reason: String::new(), retry_at, avoid: None };
    assert_eq!(passed.kind(), EventKind::TRIAL_GATE_PASSED);
    assert_eq!(failed.kind(), EventKind::TRIAL_GATE_FAILED);
    assert_eq!(excused.kind(), EventKind::TRIAL_GATE_EXCUSED);
    assert_eq!(lost.kind(), EventKind::TRIAL_GATE_LOST);
}
