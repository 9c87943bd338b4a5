use sprint_core::assignment::CommandResult;

use super::*;
use crate::shim::plan::Cause;

fn exit() -> Exit {
    let step = CommandResult {
        name: "developer".to_owned(),
        exit_code: Some(0),
        signal: None,
        timed_out: false,
        duration_ms: 1,
    };
    Exit {
        round: 1,
        cause: Cause::Completed,
        setup: None,
        code: Some(0),
        steps: vec![step],
        verdicts: vec![],
        disk_full: false,
        message: None,
    }
}

fn accepted() -> Facts {
    Facts { phase: Phase::Accepted, ..Facts::default() }
}

fn planned() -> Facts {
    Facts { launch: Launch::Planned, ..accepted() }
}

fn running() -> Facts {
    Facts {
        phase: Phase::Started,
        launch: Launch::Launched,
        shim: Shim::Alive,
        session: Some(Presence::Alive),
        ..Facts::default()
    }
}

#[test]
fn a_life_without_trouble_goes_step_by_step() {
    assert_eq!(next(&Facts::default()), Next::Accept);
    assert_eq!(next(&accepted()), Next::Prepare);
    assert_eq!(next(&planned()), Next::Start);
    assert_eq!(next(&Facts { phase: Phase::Accepted, ..running() }), Next::TellStarted);
    assert_eq!(next(&running()), Next::Wait);
    let ended = Facts { exit: Some(exit()), ..running() };
    assert_eq!(next(&ended), Next::TellExited(Some(0)));
    let progress = Facts { phase: Phase::Exited, ..ended };
    assert_eq!(next(&progress), Next::Finish(RoundEnd::Exited(exit())));
    let finished = Facts { phase: Phase::Finished, ..Facts::default() };
    assert_eq!(next(&finished), Next::Wait);
    assert_eq!(next(&Facts { forgotten: true, ..finished.clone() }), Next::Wait);
    assert_eq!(next(&Facts { forgotten: true, delivered: true, ..finished }), Next::Remove);
}

#[test]
fn after_a_restart_a_round_that_never_began_is_started_and_one_that_began_is_not() {
    let gone = Facts { session: Some(Presence::Gone), ..planned() };
    assert_eq!(next(&gone), Next::Start);
    assert!(matches!(next(&Facts { shim: Shim::Gone, ..gone.clone() }), Next::Finish(RoundEnd::Vanished(_))));
    assert_eq!(next(&Facts { shim: Shim::Alive, ..gone.clone() }), Next::Wait);
    assert!(matches!(next(&Facts { launch: Launch::Launched, ..gone }), Next::Finish(RoundEnd::Vanished(_))));
}

#[test]
fn the_start_is_reported_before_the_exit_even_when_it_was_not_observed() {
    let unseen = Facts { shim: Shim::Gone, exit: Some(exit()), session: Some(Presence::Gone), ..planned() };
    assert_eq!(next(&unseen), Next::TellStarted);
}

#[test]
fn a_request_to_stop_ends_what_runs_and_keeps_the_rest_from_starting() {
    let stop = Some(Stop::Requested("enough".to_owned()));
    assert_eq!(next(&Facts { stop: stop.clone(), ..accepted() }), Next::Finish(RoundEnd::NeverStarted));
    assert_eq!(next(&Facts { stop: stop.clone(), ..planned() }), Next::Finish(RoundEnd::NeverStarted));
    assert_eq!(next(&Facts { stop: stop.clone(), ..running() }), Next::End);
    let hung_up = Facts { stop: stop.clone(), session: Some(Presence::Gone), ..running() };
    assert_eq!(next(&hung_up), Next::End);
    let ended = Facts { stop, exit: Some(exit()), phase: Phase::Exited, ..running() };
    assert_eq!(next(&ended), Next::Finish(RoundEnd::Exited(exit())));
}

#[test]
fn trouble_ends_what_has_not_begun_and_nothing_else() {
    let trouble = Trouble::Outpost("no".to_owned());
    let some = Some(trouble.clone());
    assert_eq!(next(&Facts { trouble: some.clone(), ..accepted() }), Next::Finish(RoundEnd::NotRun(trouble)));
    assert_eq!(next(&Facts { trouble: some, ..running() }), Next::Wait);
}

/// Every combination of what can be observed.
fn all() -> Vec<Facts> {
    let mut all = vec![Facts::default()];
    let mut each = |choices: Vec<Box<dyn Fn(Facts) -> Facts>>| {
        all = all.iter().flat_map(|facts| choices.iter().map(|choose| choose(facts.clone()))).collect();
    };
    macro_rules! choose {
        ($field:ident: $($value:expr),+) => {
            each(vec![$(Box::new(|facts| Facts { $field: $value, ..facts })),+])
        };
    }
    choose!(phase: Phase::New, Phase::Accepted, Phase::Started, Phase::Exited, Phase::Finished);
    choose!(launch: Launch::Unprepared, Launch::Planned, Launch::Launched);
    choose!(shim: Shim::NotBegun, Shim::Alive, Shim::Gone);
    choose!(session: None, Some(Presence::Alive), Some(Presence::Gone), Some(Presence::Unknown));
    choose!(exit: None, Some(exit()));
    choose!(trouble: None, Some(Trouble::Outpost("no".to_owned())), Some(Trouble::Assignment("no".to_owned())));
    choose!(stop: None, Some(Stop::Requested("enough".to_owned())));
    choose!(forgotten: false, true);
    choose!(delivered: false, true);
    all
}

#[test]
fn no_combination_of_facts_removes_restarts_or_finishes_what_it_must_not() {
    let all = all();
    assert_eq!(all.len(), 5 * 3 * 3 * 4 * 2 * 3 * 2 * 2 * 2);
    for facts in all {
        let alive = facts.session == Some(Presence::Alive) || facts.shim == Shim::Alive;
        match next(&facts) {
            Next::Remove => assert!(facts.phase == Phase::Finished && facts.forgotten && facts.delivered),
            Next::Start | Next::Prepare => {
                let fresh = facts.shim == Shim::NotBegun && facts.exit.is_none() && facts.launch != Launch::Launched;
                assert!(fresh && !alive && facts.stop.is_none() && facts.trouble.is_none(), "{facts:?}");
            }
            Next::Finish(ended) => {
                assert!((Phase::Accepted..Phase::Finished).contains(&facts.phase), "{facts:?}");
                assert!(!alive || matches!(ended, RoundEnd::Exited(_)), "{facts:?}");
                assert!(matches!(ended, RoundEnd::Exited(_)) == facts.exit.is_some(), "{facts:?}");
            }
            Next::Accept => assert_eq!(facts.phase, Phase::New),
            Next::TellStarted => assert_eq!(facts.phase, Phase::Accepted),
            Next::TellExited(_) => assert!(facts.phase == Phase::Started && facts.exit.is_some()),
            Next::End => assert!(alive && facts.stop.is_some(), "{facts:?}"),
            // What could go on must not wait.
            Next::Wait => {
                let waits = alive || facts.session == Some(Presence::Unknown) || facts.phase == Phase::Finished;
                assert!(waits, "{facts:?}");
            }
        }
    }
}
