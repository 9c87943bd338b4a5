//! What is not lost when something dies.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_core::assignment::{AttemptOutcome, Outcome, ReportBody};
use sprint_core::bounds::DETAIL;
use sprint_core::ids::WorkerId;
use sprint_test_needs::{Need, SmallDisk, have};

use crate::support::{Site, eventually, lost, names, processes_of};

const COMMIT: &str = "echo a > a; git add a; git commit -qm a";

/// A command line that waits for a file, and the file.
fn gate(site: &Site, name: &str) -> (String, std::path::PathBuf) {
    let path = site.outside().join(name);
    (format!("echo waiting; while ! test -e '{}'; do sleep 0.02; done", path.display()), path)
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_is_learned_after_the_agent_was_killed() {
    let mut site = Site::start(&[]).await;
    let (wait, go) = gate(&site, "go");
    let worker = site.assign(site.item(1, &format!("{wait}; {COMMIT}; echo done"))).await;
    site.logged(worker, "waiting").await;
    site.kill_agent();
    std::fs::write(&go, b"").expect("is written");
    let exit = site.worker_dir(worker).join("exit.json");
    eventually("the shim writes its exit", || exit.exists()).await;
    site.start_agent();
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies), ["accepted", "started", "exited", "finished"]);
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert_eq!(log, b"waiting\r\ndone\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_worker_is_adopted_and_not_started_again() {
    let mut site = Site::start(&[]).await;
    let (wait, go) = gate(&site, "go");
    let worker = site.assign(site.item(2, &format!("{wait}; {COMMIT}"))).await;
    site.logged(worker, "waiting").await;
    site.kill_agent();
    site.start_agent();
    site.joined(2).await;
    let entry = site.coordinator.with(|state| state.hellos[1].workers.clone());
    assert_eq!((entry.len(), entry[0].worker, entry[0].finished), (1, 2, false));
    std::fs::write(&go, b"").expect("is written");
    assert!(matches!(site.finished(worker).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert_eq!(log, b"waiting\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_at_any_moment_runs_each_command_once() {
    let mut site = Site::start(&[]).await;
    let runs = site.outside().join("runs");
    for round in 0..15_u64 {
        let worker = WorkerId::new(10 + round);
        let run = format!("echo {worker} >> '{}'; {COMMIT}", runs.display());
        site.assign(site.item(worker.get(), &run)).await;
        tokio::time::sleep(Duration::from_millis(round * 5)).await;
        site.kill_agent();
        site.start_agent();
        let hellos = usize::try_from(round).expect("small") + 2;
        site.joined(hellos).await;
        // What was not on the disk is assigned again, as the coordinator would.
        let known = site.coordinator.with(|state| {
            state.hellos[hellos - 1].workers.iter().any(|entry| entry.worker == worker.get())
                || state.finished(worker).is_some()
        });
        if !known {
            site.assign(site.item(worker.get(), &run)).await;
        }
        let finished = site.finished(worker).await;
        assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
        let bodies = site.coordinator.with(|state| state.bodies(worker));
        assert_eq!(names(&bodies), ["accepted", "started", "exited", "finished"]);
        site.forgotten(worker).await;
    }
    let runs = std::fs::read_to_string(runs).expect("they ran");
    assert_eq!(runs.lines().count(), 15, "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_tmux_server_loses_no_work() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(3, "echo half > half.txt; echo ready; sleep 1000")).await;
    site.logged(worker, "ready").await;
    let pid = site.tmux(&["display-message", "-p", "#{pid}"]).expect("a server");
    kill(Pid::from_raw(pid.trim().parse().expect("a pid")), Signal::SIGKILL).expect("is killed");
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Lost { .. })), "{finished:?}");
    let wip = finished.wip.expect("is kept");
    assert_eq!(site.git(&["show", &format!("{wip}:half.txt")]), "half");
    assert_eq!(processes_of(&site, worker), Vec::<i32>::new());
    // And the next one runs.
    let next = site.assign(site.item(4, COMMIT)).await;
    assert!(matches!(site.finished(next).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tmux_server_that_cannot_end_is_replaced() {
    let site = Site::start(&[]).await;
    let first = site.assign(site.item(8, COMMIT)).await;
    site.finished(first).await;
    let mut viewer = std::process::Command::new("tmux");
    viewer.arg("-S").arg(site.data().join("tmux.sock")).args(["-C", "attach", "-t", "=control"]);
    let mut viewer = viewer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    let pid = Pid::from_raw(i32::try_from(viewer.id()).expect("a pid"));
    eventually("it is attached", || site.tmux(&["list-clients"]).is_some_and(|list| list.lines().count() == 2)).await;
    kill(pid, Signal::SIGSTOP).expect("is frozen");
    // It tells the server, which now waits for the frozen client.
    site.tmux(&["kill-server"]);
    let next = site.assign(site.item(9, COMMIT)).await;
    assert!(matches!(site.finished(next).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
    viewer.kill().expect("is killed");
    viewer.wait().expect("ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tmux_server_that_a_newer_client_cannot_talk_to_goes_on_with_its_workers() {
    let mut site = Site::start(&[]).await;
    let (wait, go) = gate(&site, "go");
    let worker = site.assign(site.item(10, &format!("{wait}; {COMMIT}"))).await;
    site.logged(worker, "waiting").await;
    site.kill_agent();
    // As after an upgrade: the client says so and exits, and the server is untouched.
    let programs = site.outside().join("programs");
    std::fs::create_dir(&programs).expect("is made");
    std::fs::write(programs.join("tmux"), "#!/bin/sh\n[ \"$1\" = -V ] && exec /usr/bin/tmux -V\necho %exit\nexit 1\n")
        .expect("is written");
    std::fs::set_permissions(programs.join("tmux"), std::fs::Permissions::from_mode(0o755)).expect("is made");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a path"));
    site.start_agent_by(site.agent_command().env("PATH", path));
    let tries = || site.agent_log().matches("the connection to tmux ended").count();
    // Pauses of 20 ms, doubled up to 2 s: these take longer than a server may refuse.
    eventually("it has tried for long", || tries() > 10).await;
    std::fs::write(&go, b"").expect("is written");
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_shim_is_killed_is_lost_and_leaves_nothing_running() {
    let site = Site::start(&[]).await;
    let run = "echo half > half.txt; setsid sleep 1000 & echo ready; sleep 1000";
    let worker = site.assign(site.item(5, run)).await;
    site.logged(worker, "ready").await;
    let pid = site.tmux(&["list-panes", "-t", "=w5", "-F", "#{pane_pid}"]).expect("a pane");
    kill(Pid::from_raw(pid.trim().parse().expect("a pid")), Signal::SIGKILL).expect("is killed");
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Lost { .. })), "{finished:?}");
    assert!(finished.wip.is_some());
    assert_eq!(processes_of(&site, worker), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_kept_until_the_coordinator_can_take_it() {
    let mut site = Site::start(&[]).await;
    let (wait, go) = gate(&site, "go");
    let worker = site.assign(site.item(6, &format!("{wait}; {COMMIT}"))).await;
    site.logged(worker, "waiting").await;
    site.coordinator.go_away();
    let away = site.path().join("away");
    std::fs::rename(site.path().join("git"), &away).expect("is moved");
    std::fs::write(&go, b"").expect("is written");
    eventually("a push fails", || site.agent_log().contains("the push of its work failed")).await;
    std::fs::rename(&away, site.path().join("git")).expect("is moved back");
    site.coordinator.come_back().await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    assert!(!site.git(&["rev-parse", "refs/sprint/work/106/1"]).is_empty());
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies), ["accepted", "started", "exited", "finished"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_commit_that_cannot_be_fetched_is_not_counted_as_a_failure() {
    let site = Site::start(&[]).await;
    let mut assignment = site.item(7, "true");
    assignment.base = "0123456789012345678901234567890123456789".parse().expect("a commit");
    let worker = site.assign(assignment).await;
    let reason = lost(&site.finished(worker).await.outcome);
    assert!(reason.contains("refs/heads/main does not reach it"), "{reason}");
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies), ["accepted", "finished"]);
    site.forgotten(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_before_it_starts_never_runs() {
    let site = Site::start(&[]).await;
    let mut assignment = site.item(8, "true");
    assignment.base_ref = "refs/heads/none".to_owned();
    assignment.base = "0123456789012345678901234567890123456789".parse().expect("a commit");
    let worker = site.assign(assignment).await;
    site.coordinator.stop_worker(worker, "not needed").await;
    let finished = site.finished(worker).await;
    assert_eq!(finished.outcome, Outcome::Attempt(AttemptOutcome::Stopped { reason: "not needed".to_owned() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_forgotten_worker() {
    let site = Site::start(&["--warm", "0"]).await;
    let worker = site.assign(site.item(9, COMMIT)).await;
    site.finished(worker).await;
    site.forgotten(worker).await;
    let mirror = site.data().join("mirrors/web.git");
    eventually("its ref goes", || crate::support::git(&mirror, &["for-each-ref"]).is_empty()).await;
    assert_eq!(site.tmux(&["list-sessions", "-F", "#{session_name}"]).as_deref(), Some("control\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_worker_and_not_the_agent() {
    let holder = tempfile::tempdir().expect("a directory");
    let path = holder.path().join("disk");
    let Some(disk) = have(Need::Tmpfs, || SmallDisk::mount(&path, "16m")) else { return };
    let mut site = Site::without_agent(&["--warm", "0"]).await;
    let data = path.join("data");
    site.set_data(&data);
    site.start_agent();
    site.joined(1).await;
    let run = "echo precious > precious.txt; head -c 100M /dev/zero > \"$SPRINT_ARTIFACTS/big\" || exit 1";
    let worker = site.assign(site.item(20, run)).await;
    let finished = site.finished(worker).await;
    let reason = lost(&finished.outcome);
    assert!(reason.starts_with("the outpost's disk is full"), "{reason}");
    let wip = finished.wip.clone().expect("even now the work is saved");
    assert_eq!(site.git(&["show", &format!("{wip}:precious.txt")]), "precious");
    // While the disk is full the next is refused with the same reason.
    let second = site.assign(site.item(21, "true")).await;
    let reason = lost(&site.finished(second).await.outcome);
    assert!(reason.starts_with("the outpost's disk is full"), "{reason}");
    // The agent lives, and goes on when there is room again.
    std::fs::remove_file(data.join("workers/20/artifacts/big")).expect("is removed");
    site.forgotten(second).await;
    let third = site.assign(site.item(22, COMMIT)).await;
    assert!(matches!(site.finished(third).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
    drop(site);
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ended_from_outside_is_lost_and_not_failed() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(30, "echo ready; sleep 1000")).await;
    site.logged(worker, "ready").await;
    site.tmux(&["kill-session", "-t", "=w30"]).expect("is ended");
    let finished = site.finished(worker).await;
    assert_eq!(
        finished.outcome,
        Outcome::Attempt(AttemptOutcome::Lost { reason: "its terminal was ended from outside".to_owned() })
    );
    let exited = site.coordinator.with(|state| state.bodies(worker));
    assert!(exited.iter().any(|body| matches!(body, ReportBody::Exited { .. })), "{exited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_damages_its_repository_loses_no_file_and_is_kept() {
    let site = Site::start(&[]).await;
    let run = "echo mine > mine; git add mine; git commit -qm mine; echo half > half; rm -rf .git/objects/??; exit 0";
    let worker = site.assign(site.item(40, run)).await;
    let finished = site.finished(worker).await;
    // By its own doing: another outpost would see the same.
    let Outcome::Attempt(AttemptOutcome::Failed { reason }) = &finished.outcome else { panic!("{finished:?}") };
    let kept = site.data().join("kept/140-1-40");
    let said =
        format!("its files are saved as uncommitted work; its directory is kept on the outpost as {}", kept.display());
    assert!(reason.ends_with(&said), "{reason}");
    let wip = finished.wip.expect("the files are saved");
    for (file, text) in [("mine", "mine"), ("half", "half"), ("README", "hello")] {
        assert_eq!(site.git(&["show", &format!("refs/sprint/wip/140/1:{file}")]), text);
    }
    assert_eq!(site.git(&["rev-parse", &format!("{wip}^")]), site.base.as_str());
    assert!(site.git(&["for-each-ref", "refs/sprint/work"]).is_empty());
    site.forgotten(worker).await;
    assert_eq!(std::fs::read_to_string(kept.join("workspace/half")).expect("is kept"), "half\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_with_a_missing_object_is_not_taken_for_whole() {
    let site = Site::start(&[]).await;
    // HEAD can be read, and all that is looked at; a blob of an earlier commit is gone.
    let run = "echo 1 > a; git add a; git commit -qm 1; lost=$(git rev-parse HEAD:a); echo 2 > a; git commit -qam 2; \
               rm -f .git/objects/$(echo $lost | cut -c1-2)/$(echo $lost | cut -c3-)";
    let worker = site.assign(site.item(41, run)).await;
    let finished = site.finished(worker).await;
    let reason = crate::support::failed(&finished.outcome);
    assert!(reason.starts_with("its commits cannot be read; its commits could not be saved: "), "{reason}");
    assert_eq!(site.git(&["show", "refs/sprint/wip/141/1:a"]), "2");
    site.forgotten(worker).await;
    assert!(site.data().join("kept/141-1-41/keep").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_is_ended_and_one_that_prints_or_computes_is_not() {
    let site = Site::start(&[]).await;
    let runs = [
        (50, "echo half > half; echo ready; sleep 1000"),
        (51, "while :; do echo tick; sleep 0.3; done"),
        (52, "echo ready; while :; do :; done"),
    ];
    for (number, run) in runs {
        let hung_after = Some(Duration::from_secs(3));
        site.assign(sprint_core::assignment::Assignment { hung_after, ..site.item(number, run) }).await;
    }
    let finished = site.finished(WorkerId::new(50)).await;
    assert_eq!(
        finished.outcome,
        Outcome::Attempt(AttemptOutcome::Failed { reason: "hung: no output and no CPU for 3s".to_owned() })
    );
    let wip = finished.wip.expect("its work is saved");
    assert_eq!(site.git(&["show", &format!("{wip}:half")]), "half");
    // As long again.
    let hung_after = Some(Duration::from_secs(3));
    site.assign(sprint_core::assignment::Assignment { hung_after, ..site.item(53, "sleep 1000") }).await;
    site.finished(WorkerId::new(53)).await;
    for number in [51, 52] {
        let worker = WorkerId::new(number);
        assert!(site.coordinator.with(|state| state.finished(worker)).is_none(), "worker {number} does not hang");
        site.coordinator.stop_worker(worker, "enough").await;
        assert_eq!(
            site.finished(worker).await.outcome,
            Outcome::Attempt(AttemptOutcome::Stopped { reason: "enough".to_owned() })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_takes_too_long_is_ended_while_the_agent_is_dead() {
    let mut site = Site::start(&[]).await;
    let mut assignment = site.item(54, "echo half > half; echo ready; sleep 1000");
    assignment.steps[0].timeout = Duration::from_secs(2);
    let worker = site.assign(assignment).await;
    site.logged(worker, "ready").await;
    site.kill_agent();
    let exit = site.worker_dir(worker).join("exit.json");
    eventually("the shim ends it", || exit.exists()).await;
    assert_eq!(processes_of(&site, worker), Vec::<i32>::new());
    site.start_agent();
    let finished = site.finished(worker).await;
    assert_eq!(finished.outcome, Outcome::Attempt(AttemptOutcome::Failed { reason: "timed out after 2s".to_owned() }));
    assert!(finished.wip.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_that_a_killed_git_has_left_hold_nothing_up() {
    let mut site = Site::start(&["--warm", "0"]).await;
    let first = site.assign(site.item(60, COMMIT)).await;
    site.finished(first).await;
    site.kill_agent();
    // The next worker's commit is to be fetched.
    let tree = site.git(&["rev-parse", "main^{tree}"]);
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
    let commit = ["commit-tree", &tree, "-p", site.base.as_str(), "-m", "next"];
    site.base = site.git(&[&identity[..], &commit].concat()).parse().expect("a commit");
    site.git(&["update-ref", "refs/heads/main", site.base.as_str()]);
    let mirror = site.data().join("mirrors/web.git");
    let locks =
        ["refs/sprint/base/61.lock", "packed-refs.lock", "config.lock", "shallow.lock"].map(|name| mirror.join(name));
    for lock in &locks {
        std::fs::write(lock, "").expect("is planted");
    }
    site.start_agent();
    site.joined(2).await;
    let second = site.assign(site.item(61, COMMIT)).await;
    assert!(matches!(site.finished(second).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
    assert!(!site.agent_log().contains("could not be fetched"), "{}", site.agent_log());
    assert!(locks.iter().all(|lock| !lock.exists()));
}

/// Why the outpost takes nothing new, by its newest heartbeat.
fn paused(state: &crate::support::State) -> Option<&str> {
    state.heartbeats.last().and_then(|beat| beat.paused.as_deref())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outpost_whose_disk_is_low_says_so_and_gives_up_its_warm_trees() {
    let holder = tempfile::tempdir().expect("a directory");
    let path = holder.path().join("disk");
    let Some(disk) = have(Need::Tmpfs, || SmallDisk::mount(&path, "64m")) else { return };
    let mut site = Site::without_agent(&["--warm", "1"]).await;
    site.set_data(&path.join("data"));
    site.start_agent();
    site.joined(1).await;
    let first = site.assign(site.item(70, COMMIT)).await;
    site.finished(first).await;
    let warm = site.data().join("warm/web");
    let trees = || std::fs::read_dir(&warm).map_or(0, Iterator::count);
    eventually("a tree is ready", || trees() == 1).await;
    assert!(site.coordinator.with(|state| paused(state).is_none()));
    std::fs::write(path.join("ballast"), vec![0; 61 << 20]).expect("is written");
    site.coordinator.until("it is paused", |state| paused(state).is_some()).await;
    let reason = site.coordinator.with(|state| paused(state).unwrap_or_default().to_owned());
    assert!(reason.starts_with("less than 3.2 MiB of disk is free ("), "{reason}");
    assert!(reason.ends_with("; free some, or lower --min-free-disk"), "{reason}");
    eventually("the tree goes", || trees() == 0).await;
    // What was on its way when it paused is done all the same.
    let second = site.assign(site.item(71, COMMIT)).await;
    assert!(matches!(site.finished(second).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
    std::fs::remove_file(path.join("ballast")).expect("is removed");
    site.coordinator.until("it goes on", |state| paused(state).is_none()).await;
    eventually("a tree is made again", || trees() == 1).await;
    drop(site);
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outpost_beyond_its_quota_says_so() {
    let mut site = Site::without_agent(&["--max-disk", "2MiB"]).await;
    let kept = site.data().join("kept/1-1-1");
    std::fs::create_dir_all(&kept).expect("is made");
    std::fs::write(kept.join("large"), vec![1; 3 << 20]).expect("is written");
    site.start_agent();
    site.coordinator.until("it is paused", |state| paused(state).is_some()).await;
    let reason = site.coordinator.with(|state| paused(state).unwrap_or_default().to_owned());
    assert!(reason.starts_with("the data directory holds 3.") && reason.contains("--max-disk 2.0 MiB"), "{reason}");
}

/// As an earlier version could write one that knew no bounds.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_written_without_bounds_is_cut_and_the_next_ones_follow() {
    let mut site = Site::start(&[]).await;
    let worker = site.assign(site.item(30, "echo waiting; sleep 1000")).await;
    site.logged(worker, "waiting").await;
    site.kill_agent();
    let pane = site.tmux(&["list-panes", "-a", "-F", "#{pane_pid} #{session_name}"]).expect("a server");
    let shim = pane.lines().find_map(|line| line.strip_suffix(&format!(" w{worker}"))).expect("its pane");
    kill(Pid::from_raw(shim.parse().expect("a pid")), Signal::SIGKILL).expect("is killed");
    let path = site.worker_dir(worker).join("reports.jsonl");
    let journal = std::fs::read_to_string(&path).expect("a journal");
    let started = journal.lines().rfind(|line| line.contains("\"report\"")).expect("a report");
    let mut report: serde_json::Value = serde_json::from_str(started).expect("JSON");
    let seq = report["report"]["seq"].as_u64().expect("a number") + 1;
    report["report"] = serde_json::json!({
        "worker": worker, "job": report["report"]["job"], "seq": seq, "report": "finished",
        "exit_code": 0, "steps": [], "wip": null, "log_bytes": 0, "log_tail": "x".repeat(80 << 20),
        "outcome": { "attempt": { "failed": { "reason": "it failed" } } },
    });
    std::fs::write(&path, format!("{journal}{report}\n")).expect("is written");
    site.start_agent();
    let finished = site.finished(worker).await;
    let tail = &finished.log_tail;
    assert!(tail.len() <= DETAIL && tail.ends_with("(83886080 bytes in all)"), "{} bytes", tail.len());
    site.forgotten(worker).await;
    let next = site.assign(site.item(31, COMMIT)).await;
    assert!(matches!(site.finished(next).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
}
