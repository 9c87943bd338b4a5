//! What becomes of a worker's work: real tmux, real git, the real agent.

use crate::support::{Site, names, refused};
use sprint_core::assignment::{AttemptOutcome, GateRunOutcome, Outcome, ReportBody};
use sprint_core::gates::GateOutcome;
use sprint_core::ids::WorkerId;

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_pushed_and_reported() {
    let site = Site::start(&[]).await;
    let run = "echo change > new.txt && git add new.txt && git commit -qm work && echo committed";
    let worker = site.assign(site.item(1, run)).await;
    let finished = site.finished(worker).await;
    let head = site.git(&["rev-parse", "refs/sprint/work/101/1"]);
    assert!(
        matches!(&finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { head: told }) if told.as_str() == head),
        "{finished:?}"
    );
    assert_eq!((finished.exit_code, &finished.wip), (Some(0), &None));
    assert_eq!(site.git(&["show", &format!("{head}:new.txt")]), "change");
    assert_eq!(site.git(&["rev-parse", &format!("{head}^")]), site.base.as_str());
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies), ["accepted", "started", "exited", "finished"]);
    assert_eq!(finished.log_tail, "committed");
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert_eq!((log.as_slice(), finished.log_bytes), (b"committed\r\n".as_slice(), log.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn uncommitted_changes_are_sent_back_once() {
    let site = Site::start(&[]).await;
    // Commits only what it is told to by the feedback.
    let run = "if [ -n \"$SPRINT_FEEDBACK_FILE\" ]; then cat \"$SPRINT_FEEDBACK_FILE\"; git add -A; git commit -qm x; \
               else echo draft > draft.txt; fi";
    let worker = site.assign(site.item(2, run)).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies), ["accepted", "started", "exited", "sent_back", "started", "exited", "finished"]);
    assert!(finished.log_tail.contains("draft.txt"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_left_uncommitted_twice_fail_and_are_kept() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(3, "echo draft >> draft.txt; echo more >> README")).await;
    let finished = site.finished(worker).await;
    assert_eq!(
        finished.outcome,
        Outcome::Attempt(AttemptOutcome::Failed { reason: "left changes uncommitted twice".to_owned() })
    );
    let wip = finished.wip.expect("is kept");
    assert_eq!(site.git(&["rev-parse", "refs/sprint/wip/103/1"]), wip.as_str());
    assert_eq!(site.git(&["show", &format!("{wip}:draft.txt")]), "draft\ndraft");
    assert_eq!(site.git(&["show", &format!("{wip}:README")]), "hello\nmore\nmore");
    assert_eq!(site.git(&["rev-parse", &format!("{wip}^")]), site.base.as_str());
}

const NOTHING_LEFT: &str = "exited with 0 and left nothing: no commit, no change (if there is nothing to do, it must say so: sprintctl item resolve --nothing-to-do WHY)";

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_worker_says_why_and_keeps_its_commits() {
    let site = Site::start(&[]).await;
    let commit = "echo a > a; git add a; git commit -qm a";
    let cases = [
        (4, "exit 3".to_owned(), "exited with code 3", false),
        (5, format!("{commit}; kill -9 $$"), "ended by signal 9", true),
        (6, "true".to_owned(), NOTHING_LEFT, false),
        (7, "no-such-command".to_owned(), "exited with code 127: command not found: no-such-command", false),
    ];
    for (number, run, ..) in &cases {
        site.assign(site.item(*number, run)).await;
    }
    for (number, _, expected, kept) in cases {
        let finished = site.finished(WorkerId::new(number)).await;
        let reason = expected.to_owned();
        // Whether a command is there is the host's business.
        let missing = expected.contains("command not found");
        let outcome = if missing { AttemptOutcome::Unfit { reason } } else { AttemptOutcome::Failed { reason } };
        assert_eq!(finished.outcome, Outcome::Attempt(outcome));
        let refs = site.git(&["for-each-ref", &format!("refs/sprint/work/{}", number + 100)]);
        assert_eq!(!refs.is_empty(), kept, "{refs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_is_ended_with_all_its_processes() {
    let site = Site::start(&[]).await;
    let mut assignment = site.item(8, "sleep 1000 & trap '' TERM; echo waiting; while :; do sleep 1000; done");
    assignment.steps[0].timeout = std::time::Duration::from_secs(1);
    let worker = site.assign(assignment).await;
    let finished = site.finished(worker).await;
    assert_eq!(finished.outcome, Outcome::Attempt(AttemptOutcome::Failed { reason: "timed out after 1s".to_owned() }));
    assert!(finished.steps[0].timed_out);
    assert!(finished.log_tail.contains("[sprint] command \"developer\" timed out after 1s"), "{finished:?}");
    assert_eq!(crate::support::processes_of(&site, worker), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ended_says_what_it_waited_for() {
    let site = Site::start(&[]).await;
    let cases = [
        (31, "echo name?; read name", "sh (process ", "reads its terminal, where nobody types"),
        (
            32,
            "touch lock; flock lock sleep 1000 & sleep 0.3; flock lock true",
            "flock (process ",
            "waits for a lock of ",
        ),
        (33, "mkfifo pipe; exec 3<>pipe; cat <&3", "cat (process ", "reads "),
        (34, "sleep 1000", "sleep (process ", "sleeps"),
        (
            35,
            "python3 -c 'import socket; a, b = socket.socketpair(); a.recv(1)'",
            "python3 (process ",
            "waits for the network",
        ),
    ];
    for (number, run, ..) in cases {
        let mut assignment = site.item(number, run);
        assignment.steps[0].timeout = std::time::Duration::from_secs(2);
        site.assign(assignment).await;
    }
    for (number, run, who, what) in cases {
        let finished = site.finished(WorkerId::new(number)).await;
        let said = finished.log_tail.lines().find(|line| line.contains("when it was ended, ")).unwrap_or_default();
        assert!(said.contains(who) && said.contains(what), "{run}: {}", finished.log_tail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_left_behind_are_ended() {
    let site = Site::start(&[]).await;
    let run = "sleep 1000 & (setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 &) ; \
               echo a > a; git add a; git commit -qm a";
    let worker = site.assign(site.item(9, run)).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    assert_eq!(crate::support::processes_of(&site, worker), Vec::<i32>::new());
    assert!(finished.steps[0].duration_ms < 10_000, "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_stopped_and_its_work_is_saved() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(10, "echo half > half.txt; echo ready; sleep 1000")).await;
    site.logged(worker, "ready").await;
    site.coordinator.stop_worker(worker, "cancelled by a person").await;
    let finished = site.finished(worker).await;
    assert_eq!(
        finished.outcome,
        Outcome::Attempt(AttemptOutcome::Stopped { reason: "cancelled by a person".to_owned() })
    );
    let wip = finished.wip.expect("is kept");
    assert_eq!(site.git(&["show", &format!("{wip}:half.txt")]), "half");
    assert_eq!(crate::support::processes_of(&site, worker), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_pass_only_when_every_one_exits_with_zero() {
    let site = Site::start(&[]).await;
    let passed = site.assign(site.gates(11, &[("lint", "true"), ("test", "test -f README")])).await;
    let bad = site.assign(site.gates(12, &[("lint", "true"), ("test", "exit 4"), ("late", "true")])).await;
    let missing = site.assign(site.gates(13, &[("x", "no-such-command")])).await;
    let mut slow = site.gates(14, &[("lint", "sleep 1000")]);
    slow.steps[0].timeout = std::time::Duration::from_secs(1);
    slow.gates[0].timeout = std::time::Duration::from_secs(1);
    let slow = site.assign(slow).await;
    let empty = site.assign(site.gates(15, &[])).await;

    let tree = site.git(&["rev-parse", &format!("{}^{{tree}}", site.base)]);
    let outcome = site.finished(passed).await.outcome;
    let Outcome::Gate(GateRunOutcome::Judged { commit, tree: of, verdicts }) = &outcome else {
        panic!("not gated: {outcome:?}")
    };
    assert_eq!((commit, of.as_str()), (&site.base, tree.as_str()));
    assert!(verdicts.len() == 2 && verdicts.iter().all(|verdict| verdict.outcome == GateOutcome::Passed));
    let finished = site.finished(bad).await;
    assert_eq!(refused(&finished.outcome), (GateOutcome::Failed, "gate \"test\" failed with exit code 4"));
    assert_eq!(finished.steps.len(), 2);
    let missing = site.finished(missing).await.outcome;
    assert_eq!(refused(&missing), (GateOutcome::NotFound, "gate \"x\": command not found: no-such-command"));
    let slow = site.finished(slow).await.outcome;
    assert_eq!(refused(&slow), (GateOutcome::TimedOut, "gate \"lint\" timed out after 1s"));
    let empty = site.finished(empty).await.outcome;
    assert!(matches!(empty, Outcome::Gate(GateRunOutcome::Lost { .. })), "{empty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_sees_its_own_things_and_no_secret() {
    let site = Site::start(&[]).await;
    let run = "env | sort; pwd; cat \"$SPRINT_PROMPT_FILE\"; git rev-parse --abbrev-ref HEAD; git status --porcelain; \
               printf '{\"op\":\"show\"}\\n' > ask; exec 2>&1; ls \"$SPRINT_CONTEXT_DIR\" \"$SPRINT_ARTIFACTS\"; ls -a; rm ask";
    let mut assignment = site.item(16, run);
    assignment.feedback = vec!["Use tabs.".to_owned()];
    let worker = site.assign(assignment).await;
    site.finished(worker).await;
    let log = String::from_utf8(std::fs::read(site.worker_dir(worker).join("terminal.log")).expect("a log"))
        .expect("text")
        .replace("\r\n", "\n");
    let dir = site.worker_dir(worker);
    let dir = dir.display();
    for line in [
        "SPRINT_ITEM=116".to_owned(),
        "SPRINT_ATTEMPT=1".to_owned(),
        "SPRINT_WORKER=16".to_owned(),
        "SPRINT_REPO=web".to_owned(),
        "SPRINT_ROLE=developer".to_owned(),
        "SPRINT_TITLE=Make it \"so\"".to_owned(),
        format!("SPRINT_BASE={}", site.base),
        format!("SPRINT_WORKSPACE={dir}/workspace"),
        format!("SPRINT_FEEDBACK_FILE={dir}/context/feedback.md"),
        format!("{dir}/workspace"),
        "Please do it.".to_owned(),
        "sprint/116/1".to_owned(),
    ] {
        assert!(log.lines().any(|found| found == line), "{line:?} is missing in\n{log}");
    }
    assert!(!log.contains("SECRET_OF_THE_AGENT") && !log.contains("TMUX"), "{log}");
    let feedback = std::fs::read_to_string(site.worker_dir(worker).join("context/feedback.md")).expect("feedback");
    assert!(feedback.contains("Use tabs."), "{feedback}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_can_ask_its_socket_what_it_is_to_do() {
    let site = Site::start(&[]).await;
    let ask = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SPRINT_SOCKET']); \
               s.sendall(b'{\\\"op\\\":\\\"show\\\"}\\n'); \
               open(os.environ['SPRINT_ARTIFACTS'] + '/answer', 'wb').write(s.makefile('rb').readline())";
    let worker = site.assign(site.item(17, &format!("python3 -c \"{ask}\"; exit 1"))).await;
    site.finished(worker).await;
    let answer = std::fs::read(site.worker_dir(worker).join("artifacts/answer")).expect("an answer");
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!((&answer["item"], &answer["title"]), (&117.into(), &"Make it \"so\"".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_socket_answers_no_other_process() {
    use std::io::{Read as _, Write as _};
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(19, "sleep 1000")).await;
    site.started(worker).await;
    let path = site.worker_dir(worker).join("worker.sock");
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::os::unix::net::UnixStream::connect(path).expect("it listens");
        // It may be closed before anything is asked.
        stream.write_all(b"{\"op\":\"show\"}\n").ok();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).ok();
        answer
    });
    assert_eq!(answer.await.expect("asked"), b"");
    assert!(site.agent_log().contains("refused a process that is not the worker's"), "{}", site.agent_log());
    site.coordinator.stop_worker(worker, "enough").await;
    site.finished(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_that_comes_twice_runs_once() {
    let site = Site::start(&[]).await;
    site.coordinator.with(|state| state.mute = true);
    let assignment = site.item(18, "echo run; sleep 1000");
    let worker = site.assign(assignment.clone()).await;
    site.logged(worker, "run").await;
    site.assign(assignment).await;
    site.coordinator.until("the reports are sent again", |state| state.repeats >= 2).await;
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert!(matches!(bodies[..], [ReportBody::Accepted, ReportBody::Started { .. }]), "{bodies:?}");
    site.coordinator.stop_worker(worker, "enough").await;
    site.finished(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_start_at_once_from_cold() {
    let site = Site::start(&["--warm", "0"]).await;
    // Commands that look at every worktree, while others are being made.
    let run = "git checkout -q -b other-$SPRINT_WORKER && git worktree list && git checkout -q - && echo a > a && git add a && git commit -qm a";
    for number in 300..330 {
        site.assign(site.item(number, run)).await;
    }
    for number in 300..330 {
        let finished = site.finished(WorkerId::new(number)).await;
        assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    }
}
