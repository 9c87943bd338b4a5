use std::sync::LazyLock;
use std::time::Duration;

use sprint_core::gates::{Gate, GateVerdict};
use sprint_core::ids::{Attempt, ChangeId, ItemId, TrialId};
use sprint_core::job::{EarlierWork, GateJob};
use sprint_core::runtime::Runtime;

use proptest::prelude::*;
use sprint_core::fixtures;
use sprint_core::fuzz::bytes;

use super::*;

const HEX: &str = "0123456789012345678901234567890123456789";

fn gate_job() -> Job {
    Job::Gate(GateJob { trial: TrialId::new(1), gate: "lint".to_owned() })
}

fn assignment(change: Option<ChangeId>, gates: &[&str]) -> Assignment {
    let step = |name: &&str| Command {
        name: (*name).to_owned(),
        runtime: Runtime::shell(),
        run: "true".to_owned(),
        timeout: Duration::from_mins(5),
    };
    Assignment {
        change,
        job: if change.is_some() { gate_job() } else { fixtures::attempt_job(2) },
        base: CommitId::new(HEX).expect("a commit"),
        steps: gates.iter().map(step).collect(),
        gates: gates.iter().filter(|_| change.is_some()).map(|name| Gate::new(*name, "true")).collect(),
        ..fixtures::assignment(1, 2, "true")
    }
}

fn result(name: &str, exit_code: i32) -> CommandResult {
    CommandResult { name: name.to_owned(), exit_code: Some(exit_code), signal: None, timed_out: false, duration_ms: 1 }
}

/// What the shim makes of it.
fn verdict(result: &CommandResult) -> GateVerdict {
    sprint_gate::judge(&Gate::new(result.name.clone(), "true"), result, &[], "/w")
}

fn exited(steps: Vec<CommandResult>) -> Exit {
    Exit {
        round: 1,
        cause: Cause::Completed,
        setup: None,
        code: steps.last().and_then(|step| step.exit_code),
        verdicts: steps.iter().map(verdict).collect(),
        steps,
        disk_full: false,
        message: None,
    }
}

fn judged(assignment: &Assignment, exit: Exit, left: &Remains, change: impl FnOnce(&mut Evidence<'_>)) -> Verdict {
    judged_agent(assignment, exit, left, None, change)
}

fn judged_agent(
    assignment: &Assignment,
    exit: Exit,
    left: &Remains,
    agent: Option<&AgentSaid>,
    change: impl FnOnce(&mut Evidence<'_>),
) -> Verdict {
    let tree = TreeId::new(HEX).expect("a tree");
    let ended = RoundEnd::Exited(exit);
    let mut evidence = Evidence {
        assignment,
        ended: &ended,
        stop: None,
        left,
        extras: &Extras::default(),
        sent_back: 0,
        handed_over: None,
        nothing_to_do: None,
        disk_full: false,
        agent,
        missing: None,
        tree: Some(&tree),
    };
    change(&mut evidence);
    judge(&evidence)
}

fn failed(reason: &str) -> Verdict {
    Verdict::End(Outcome::Attempt(AttemptOutcome::Failed { reason: reason.to_owned() }))
}

/// The outcomes of the verdicts that were passed on, and the last one's reason.
fn gated(verdict: Verdict) -> (Vec<GateOutcome>, String) {
    let Verdict::End(Outcome::Gate(GateRunOutcome::Judged { verdicts, .. })) = verdict else {
        panic!("not gated: {verdict:?}")
    };
    let reason = verdicts.last().map(|verdict| verdict.reason.clone()).unwrap_or_default();
    (verdicts.iter().map(|verdict| verdict.outcome).collect(), reason)
}

fn lost(verdict: Verdict) -> String {
    match verdict {
        Verdict::End(
            Outcome::Attempt(AttemptOutcome::Lost { reason }) | Outcome::Gate(GateRunOutcome::Lost { reason }),
        ) => reason,
        Verdict::End(_) | Verdict::SendBack { .. } => panic!("it is not lost"),
    }
}

#[test]
fn a_gate_run_ends_with_its_verdicts_up_to_the_first_that_is_not_a_pass() {
    use GateOutcome::{Failed, NotFound, Passed, TimedOut};
    let gates = assignment(Some(ChangeId::new(1)), &["lint", "test"]);
    let judge = |steps| gated(judged(&gates, exited(steps), &Remains::default(), |_| {}));
    assert_eq!(judge(vec![result("lint", 0), result("test", 0)]), (vec![Passed, Passed], String::new()));
    let failed = (vec![Passed, Failed], "gate \"test\" failed with exit code 1".to_owned());
    assert_eq!(judge(vec![result("lint", 0), result("test", 1)]), failed);
    let gone = (vec![NotFound], "gate \"lint\": command not found".to_owned());
    assert_eq!(judge(vec![result("lint", 127)]), gone);
    let late = CommandResult { timed_out: true, ..result("lint", 0) };
    assert_eq!(judge(vec![late, result("test", 0)]).0, [TimedOut]);
    let killed = CommandResult { exit_code: None, signal: Some(9), ..result("lint", 0) };
    assert_eq!(judge(vec![killed]), (vec![Failed], "gate \"lint\" was ended by signal 9".to_owned()));
}

#[test]
fn gates_that_were_not_judged_are_no_pass_and_charge_no_attempt() {
    let gates = assignment(Some(ChangeId::new(1)), &["lint", "test"]);
    let of = |gates: &Assignment, exit| lost(judged(gates, exit, &Remains::default(), |_| {}));
    let both = || exited(vec![result("lint", 0), result("test", 0)]);
    assert_eq!(of(&gates, exited(vec![result("lint", 0)])), "there is no verdict on gate \"test\"");
    assert_eq!(of(&gates, exited(vec![])), "there is no verdict on gate \"lint\"");
    let other = exited(vec![result("lint", 0), result("other", 0)]);
    assert_eq!(of(&gates, other), "there is no verdict on gate \"test\"");
    // As an older shim leaves it.
    assert_eq!(of(&gates, Exit { verdicts: vec![], ..both() }), "there is no verdict on gate \"lint\"");
    let denied = Exit { steps: vec![result("lint", 0), result("test", 1)], ..both() };
    assert_eq!(of(&gates, denied), "the record of gate \"test\" contradicts itself");
    let none = assignment(Some(ChangeId::new(1)), &[]);
    assert_eq!(of(&none, exited(vec![])), "there is no verdict on gate \"\"");
    let untold = Assignment { gates: vec![], ..gates.clone() };
    assert!(of(&untold, both()).contains("does not match its gates"));
    let full =
        judged(&gates, exited(vec![result("lint", 1)]), &Remains::default(), |evidence| evidence.disk_full = true);
    assert_eq!(lost(full), "the outpost's disk is full: gate \"lint\" failed with exit code 1");
    let treeless = judged(&gates, both(), &Remains::default(), |evidence| evidence.tree = None);
    assert_eq!(lost(treeless), "the tree of the candidate cannot be read");
}

#[test]
fn a_worker_is_judged_by_what_it_left() {
    let item = assignment(None, &["developer"]);
    let good = || exited(vec![result("developer", 0)]);
    let head = CommitId::new(HEX).expect("a commit");
    let commits = Remains { head: Some(head.clone()), ..Remains::default() };
    let dirty = Remains { uncommitted: vec!["a".to_owned()], uncommitted_count: 7, ..Remains::default() };
    assert_eq!(
        judged(&item, good(), &commits, |_| {}),
        Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { head }))
    );
    let Verdict::SendBack { reason, result: None } = judged(&item, good(), &dirty, |_| {}) else {
        panic!("is sent back")
    };
    assert!(reason.contains("not committed: a and 6 more;"), "{reason}");
    let again = judged(&item, good(), &dirty, |evidence| evidence.sent_back = 1);
    assert_eq!(again, failed("left changes uncommitted twice"));
    let nothing = judged(&item, good(), &Remains::default(), |_| {});
    assert_eq!(nothing, failed(NOTHING_LEFT));
    let bad = judged(&item, exited(vec![result("developer", 3)]), &commits, |_| {});
    assert_eq!(bad, failed("exited with code 3"));
    // Its word counts only where it has left nothing, and ended well.
    let says =
        |exit, left: &Remains| judged(&item, exit, left, |evidence| evidence.nothing_to_do = Some("it is there"));
    let nothing_to_do = AttemptOutcome::NothingToDo { reason: "it is there".to_owned() };
    assert_eq!(says(good(), &Remains::default()), Verdict::End(Outcome::Attempt(nothing_to_do)));
    assert!(matches!(says(good(), &commits), Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { .. }))));
    assert!(matches!(says(good(), &dirty), Verdict::SendBack { .. }));
    assert_eq!(says(exited(vec![result("developer", 3)]), &Remains::default()), failed("exited with code 3"));
}

#[test]
fn an_agent_is_told_three_times_what_is_missing() {
    let item = assignment(None, &["developer"]);
    let agent = AgentSaid { runtime: "claude".to_owned(), ..AgentSaid::default() };
    let dirty = Remains { uncommitted: vec!["a".to_owned()], uncommitted_count: 1, ..Remains::default() };
    let judge = |left: &Remains, sent_back| {
        let well = exited(vec![result("developer", 0)]);
        judged_agent(&item, well, left, Some(&agent), |evidence| evidence.sent_back = sent_back)
    };
    for sent_back in 0..3 {
        for left in [&dirty, &Remains::default()] {
            assert!(matches!(judge(left, sent_back), Verdict::SendBack { result: None, .. }), "{sent_back}");
        }
    }
    assert_eq!(judge(&dirty, 3), failed("left changes uncommitted 4 times"));
    assert_eq!(judge(&Remains::default(), 3), failed(NOTHING_LEFT));
}

#[test]
fn what_an_agent_says_of_why_it_could_not_go_on_decides_whose_fault_it_is() {
    let item = assignment(None, &["developer"]);
    let head = CommitId::new(HEX).expect("a commit");
    let commits = Remains { head: Some(head), ..Remains::default() };
    let judge = |kind| {
        let fault = Some(AgentFault { kind, why: "no".to_owned(), until: None });
        let agent = AgentSaid { runtime: "claude".to_owned(), fault, ..AgentSaid::default() };
        judged_agent(&item, exited(vec![result("developer", 1)]), &commits, Some(&agent), |_| {})
    };
    let unfit = judge(FaultKind::NotLoggedIn);
    let Verdict::End(Outcome::Attempt(AttemptOutcome::Unfit { reason })) = unfit else { panic!("{unfit:?}") };
    assert!(reason.contains("log in to claude on the outpost"), "{reason}");
    assert_eq!(lost(judge(FaultKind::Limited)), "claude: no");
    assert_eq!(lost(judge(FaultKind::Unavailable)), "claude: no");
    assert_eq!(judge(FaultKind::Other), failed("claude: no"), "commits are not enough");
}

#[test]
fn a_worker_that_is_done_is_reminded_of_forgotten_files_once_and_keeps_its_result() {
    let item = assignment(None, &["developer"]);
    let exit = |code| exited(vec![result("developer", code)]);
    let head = CommitId::new(HEX).expect("a commit");
    let (uncommitted, uncommitted_count) = (vec!["helper.c".to_owned()], 1);
    let left = Remains { head: Some(head.clone()), uncommitted, uncommitted_count, ..Remains::default() };
    let Verdict::SendBack { reason, result: Some(done) } = judged(&item, exit(0), &left, |_| {}) else {
        panic!("is sent back")
    };
    assert!(reason.contains("its commits lack these changes: helper.c;"), "{reason}");
    assert_eq!(done, head);
    let committed = Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { head: head.clone() }));
    // It ends again, well, badly or never, and has changed nothing.
    for (code, stop) in [(0, None), (1, None), (143, Some(&*HUNG))] {
        let again = judged(&item, exit(code), &left, |evidence| {
            (evidence.sent_back, evidence.handed_over, evidence.stop) = (1, Some(&*HEAD), stop);
        });
        assert_eq!(again, committed, "{code}");
    }
    // With other commits it was at work again, and not done.
    let bad = judged(&item, exit(1), &left, |evidence| (evidence.sent_back, evidence.handed_over) = (1, Some(&*OTHER)));
    assert_eq!(bad, failed("exited with code 1"));
    // Nobody is told anything on a disk that is full.
    assert_eq!(judged(&item, exit(0), &left, |evidence| evidence.disk_full = true), committed);
}

#[test]
fn a_repository_that_nobody_can_get_is_no_result() {
    let item = assignment(None, &["developer"]);
    let good = || exited(vec![result("developer", 0)]);
    let orphans = vec!["vendor/lib".to_owned()];
    let left = Remains { head: Some(CommitId::new(HEX).expect("a commit")), orphans, ..Remains::default() };
    let Verdict::SendBack { reason, result: None } = judged(&item, good(), &left, |_| {}) else {
        panic!("is sent back")
    };
    assert!(reason.contains("vendor/lib is a repository of its own without an entry in .gitmodules"), "{reason}");
    let again = judged(&item, good(), &left, |evidence| evidence.sent_back = 1);
    assert_eq!(again, failed(&reason));
}

#[test]
fn the_starting_commit_of_a_resolver_is_no_result() {
    let begun = CommitId::new(HEX).expect("a commit");
    let resumed = EarlierWork {
        attempt: Attempt::new(1),
        commit: begun.clone(),
        uncommitted: None,
        from_ref: "refs/sprint/work/2/1".to_owned(),
    };
    let developer = Assignment { resumed: Some(resumed), ..assignment(None, &["developer"]) };
    let job = AttemptJob { item: ItemId::new(2), attempt: Attempt::new(1), role: Role::Resolver };
    let resolver = Assignment { job: Job::Attempt(job), ..developer.clone() };
    let judge = |assignment, left: &Remains| judged(assignment, exited(vec![result("developer", 0)]), left, |_| {});
    let idle = Remains { head: Some(begun.clone()), ..Remains::default() };
    assert_eq!(judge(&resolver, &idle), failed(NOTHING_LEFT));
    assert_eq!(
        judge(&developer, &idle),
        Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { head: begun.clone() }))
    );
    // It merged, and did not commit the merge.
    let merging =
        Remains { head: Some(begun), uncommitted: vec!["a".to_owned()], uncommitted_count: 1, ..Remains::default() };
    let Verdict::SendBack { reason, result: None } = judge(&resolver, &merging) else { panic!("is sent back") };
    assert!(reason.contains("not committed: a;"), "{reason}");
    let merge = CommitId::new("f".repeat(40)).expect("a commit");
    let merged = Remains { head: Some(merge.clone()), ..Remains::default() };
    assert_eq!(judge(&resolver, &merged), Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { head: merge })));
}

#[test]
fn what_comes_from_outside_charges_no_attempt() {
    let item = assignment(None, &["developer"]);
    for cause in [Cause::HungUp, Cause::Terminated, Cause::Broken] {
        let exit = Exit { cause, ..exited(vec![result("developer", 0)]) };
        lost(judged(&item, exit, &Remains::default(), |_| {}));
    }
    let full = judged(&item, exited(vec![result("developer", 1)]), &Remains::default(), |evidence| {
        evidence.disk_full = true;
    });
    assert_eq!(lost(full), "the outpost's disk is full: exited with code 1");
    let seen = Exit { disk_full: true, ..exited(vec![result("developer", 1)]) };
    assert_eq!(
        lost(judged(&item, seen, &Remains::default(), |_| {})),
        "the outpost's disk is full: exited with code 1"
    );
}

static TOLD: LazyLock<Stop> = LazyLock::new(|| Stop::Requested("enough".to_owned()));
static HEAD: LazyLock<CommitId> = LazyLock::new(|| CommitId::new(HEX).expect("a commit"));
static OTHER: LazyLock<CommitId> = LazyLock::new(|| CommitId::new("f".repeat(40)).expect("a commit"));
static HUNG: LazyLock<Stop> = LazyLock::new(|| Stop::Hung("hung".to_owned()));

#[test]
fn a_request_to_stop_is_the_reason_whatever_else_happened() {
    let item = assignment(None, &["developer"]);
    let verdict = judged(&item, exited(vec![result("developer", 0)]), &Remains::default(), |evidence| {
        evidence.stop = Some(&TOLD);
    });
    assert_eq!(verdict, Verdict::End(Outcome::Attempt(AttemptOutcome::Stopped { reason: "enough".to_owned() })));
    let hung = Exit { cause: Cause::Terminated, ..exited(vec![result("developer", 143)]) };
    let verdict = judged(&item, hung, &Remains::default(), |evidence| evidence.stop = Some(&HUNG));
    assert_eq!(verdict, failed("hung"));
    // A command that came to its own end has its result, whatever its teardown does.
    let left = Remains { head: Some(CommitId::new(HEX).expect("a commit")), ..Remains::default() };
    let verdict = judged(&item, exited(vec![result("developer", 0)]), &left, |evidence| evidence.stop = Some(&HUNG));
    assert!(matches!(verdict, Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { .. }))), "{verdict:?}");
    // Nor is it the item's fault when its setup does not go on.
    let setup = Some(result("setup", 143));
    let hung = Exit { cause: Cause::Terminated, setup, ..exited(vec![]) };
    let verdict = judged(&item, hung, &Remains::default(), |evidence| evidence.stop = Some(&HUNG));
    assert!(matches!(verdict, Verdict::End(Outcome::Attempt(AttemptOutcome::NotSetUp { .. }))), "{verdict:?}");
}

const EXIT: &[u8] = br#"{"round":1,"cause":"completed","code":0,"steps":[{"name":"a","exit_code":0,"signal":null,"timed_out":false,"duration_ms":1},{"name":"b","exit_code":0,"signal":null,"timed_out":false,"duration_ms":1}],"verdicts":[{"gate":"a","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":1},{"gate":"b","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":1}],"disk_full":false,"message":null}"#;

proptest! {
    /// Whatever stands in `exit.json`, gates pass only if each of them is there, in order, ended well and was judged so.
    #[test]
    fn fuzz_no_exit_file_passes_gates_that_did_not_pass(content in bytes(vec![EXIT.to_vec()]), stops in any::<bool>()) {
        let Ok(exit) = serde_json::from_slice::<Exit>(&content) else { return Ok(()) };
        let gates = assignment(Some(ChangeId::new(1)), &["a", "b"]);
        let verdict = judged(&gates, exit.clone(), &Remains::default(), |evidence| {
            evidence.stop = stops.then_some(&TOLD);
        });
        let passed = matches!(&verdict, Verdict::End(Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }))
            if settle(&gates.gates, verdicts) == Settled::Passed);
        let names = exit.steps.iter().take(2).map(|step| step.name.as_str()).collect::<Vec<_>>();
        let well = |step: &CommandResult| step.exit_code == Some(0) && step.signal.is_none() && !step.timed_out;
        let all_well = names == ["a", "b"] && exit.steps.iter().take(2).all(well) && exit.cause == Cause::Completed;
        let all_judged = settle(&gates.gates, &exit.verdicts) == Settled::Passed;
        prop_assert_eq!(passed, all_well && all_judged && !stops);
    }
}
