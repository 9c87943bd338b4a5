use std::time::Duration;

use sprint_core::ids::{Attempt, ChangeId, ItemId, RepoName, WorkerId};
use sprint_core::job::Runtime;
use sprint_core::worker::Role;

use proptest::prelude::*;
use sprint_core::fuzz::bytes;

use super::*;

const HEX: &str = "0123456789012345678901234567890123456789";

fn assignment(change: Option<ChangeId>, gates: &[&str]) -> Assignment {
    let step = |name: &&str| Step {
        name: (*name).to_owned(),
        runtime: Runtime::shell(),
        run: "true".to_owned(),
        timeout: Duration::from_mins(5),
    };
    Assignment {
        worker: WorkerId::new(1),
        repo: RepoName::new("web").expect("a name"),
        item: ItemId::new(2),
        attempt: Attempt::new(1),
        role: Role::Developer,
        change,
        base: CommitId::new(HEX).expect("a commit"),
        base_ref: "refs/heads/main".to_owned(),
        title: String::new(),
        prompt: String::new(),
        feedback: vec![],
        steps: gates.iter().map(step).collect(),
    }
}

fn result(name: &str, exit_code: i32) -> StepResult {
    StepResult { name: name.to_owned(), exit_code: Some(exit_code), signal: None, timed_out: false, duration_ms: 1 }
}

fn exited(steps: Vec<StepResult>) -> Exit {
    Exit {
        round: 1,
        cause: Cause::Completed,
        code: steps.last().and_then(|step| step.exit_code),
        steps,
        disk_full: false,
        message: None,
    }
}

fn judged(assignment: &Assignment, exit: Exit, left: &Left, change: impl FnOnce(&mut Evidence<'_>)) -> Verdict {
    let tree = TreeId::new(HEX).expect("a tree");
    let ended = Ended::Exited(exit);
    let mut evidence =
        Evidence { assignment, ended: &ended, stop: None, left, sent_back: 0, disk_full: false, tree: Some(&tree) };
    change(&mut evidence);
    judge(&evidence)
}

fn failed(reason: &str) -> Verdict {
    Verdict::End(Outcome::Failed { reason: reason.to_owned() })
}

#[test]
fn a_gate_run_passes_only_with_a_good_result_of_every_gate() {
    let gates = assignment(Some(ChangeId::new(1)), &["lint", "test"]);
    let nothing = Left::default();
    let judge = |steps| judged(&gates, exited(steps), &nothing, |_| {});
    let good = judge(vec![result("lint", 0), result("test", 0)]);
    assert!(matches!(good, Verdict::End(Outcome::Passed { .. })), "{good:?}");
    assert_eq!(judge(vec![result("lint", 0)]), failed("gate \"test\" did not run"));
    assert_eq!(judge(vec![]), failed("gate \"lint\" did not run"));
    assert_eq!(judge(vec![result("lint", 0), result("other", 0)]), failed("gate \"test\" did not run"));
    assert_eq!(judge(vec![result("lint", 0), result("test", 1)]), failed("gate \"test\" failed with exit code 1"));
    assert_eq!(judge(vec![result("lint", 127)]), failed("gate \"lint\": command not found"));
    let late = StepResult { timed_out: true, ..result("lint", 0) };
    assert_eq!(judge(vec![late, result("test", 0)]), failed("gate \"lint\" timed out after 5m"));
    let killed = StepResult { exit_code: None, signal: Some(9), ..result("lint", 0) };
    assert_eq!(judge(vec![killed]), failed("gate \"lint\" was ended by signal 9"));
    let none = assignment(Some(ChangeId::new(1)), &[]);
    assert_eq!(judged(&none, exited(vec![]), &nothing, |_| {}), failed("gate \"it\" did not run"));
}

#[test]
fn a_worker_is_judged_by_what_it_left() {
    let item = assignment(None, &["developer"]);
    let good = || exited(vec![result("developer", 0)]);
    let head = CommitId::new(HEX).expect("a commit");
    let commits = Left { head: Some(head.clone()), ..Left::default() };
    let dirty = Left { uncommitted: vec!["a".to_owned()], uncommitted_count: 7, ..Left::default() };
    assert_eq!(judged(&item, good(), &commits, |_| {}), Verdict::End(Outcome::Committed { head }));
    let Verdict::SendBack(reason) = judged(&item, good(), &dirty, |_| {}) else { panic!("is sent back") };
    assert!(reason.contains("not committed: a and 6 more;"), "{reason}");
    let again = judged(&item, good(), &dirty, |evidence| evidence.sent_back = 1);
    assert_eq!(again, failed("left changes uncommitted twice"));
    let nothing = judged(&item, good(), &Left::default(), |_| {});
    assert_eq!(nothing, failed("exited with 0 and left nothing: no commit, no change"));
    let bad = judged(&item, exited(vec![result("developer", 3)]), &commits, |_| {});
    assert_eq!(bad, failed("exited with code 3"));
}

#[test]
fn what_comes_from_outside_blames_nobody() {
    let item = assignment(None, &["developer"]);
    let lost = |verdict: Verdict| {
        let Verdict::End(Outcome::Lost { reason }) = verdict else { panic!("not lost: {verdict:?}") };
        reason
    };
    for cause in [Cause::HungUp, Cause::Terminated, Cause::Broken] {
        let exit = Exit { cause, ..exited(vec![result("developer", 0)]) };
        lost(judged(&item, exit, &Left::default(), |_| {}));
    }
    let full = judged(&item, exited(vec![result("developer", 1)]), &Left::default(), |evidence| {
        evidence.disk_full = true;
    });
    assert_eq!(lost(full), "the outpost's disk is full: exited with code 1");
    let seen = Exit { disk_full: true, ..exited(vec![result("developer", 1)]) };
    assert_eq!(lost(judged(&item, seen, &Left::default(), |_| {})), "the outpost's disk is full: exited with code 1");
}

#[test]
fn a_request_to_stop_is_the_reason_whatever_else_happened() {
    let item = assignment(None, &["developer"]);
    let verdict = judged(&item, exited(vec![result("developer", 0)]), &Left::default(), |evidence| {
        evidence.stop = Some("enough");
    });
    assert_eq!(verdict, Verdict::End(Outcome::Stopped { reason: "enough".to_owned() }));
}

const EXIT: &[u8] = br#"{"round":1,"cause":"completed","code":0,"steps":[{"name":"a","exit_code":0,"signal":null,"timed_out":false,"duration_ms":1},{"name":"b","exit_code":0,"signal":null,"timed_out":false,"duration_ms":1}],"disk_full":false,"message":null}"#;

proptest! {
    /// Whatever stands in `exit.json`, gates pass only if each of them is there, in order, and ended well.
    #[test]
    fn fuzz_no_exit_file_passes_gates_that_did_not_pass(content in bytes(vec![EXIT.to_vec()]), stops in any::<bool>()) {
        let Ok(exit) = serde_json::from_slice::<Exit>(&content) else { return Ok(()) };
        let gates = assignment(Some(ChangeId::new(1)), &["a", "b"]);
        let verdict = judged(&gates, exit.clone(), &Left::default(), |evidence| {
            evidence.stop = stops.then_some("it is not needed any more");
        });
        let passed = matches!(verdict, Verdict::End(Outcome::Passed { .. }));
        let names = exit.steps.iter().take(2).map(|step| step.name.as_str()).collect::<Vec<_>>();
        let well = |step: &StepResult| step.exit_code == Some(0) && step.signal.is_none() && !step.timed_out;
        let all_well = names == ["a", "b"] && exit.steps.iter().take(2).all(well) && exit.cause == Cause::Completed;
        prop_assert_eq!(passed, all_well && !stops);
    }
}
