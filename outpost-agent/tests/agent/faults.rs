//! What is not lost when something dies.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_core::ids::WorkerId;
use sprint_core::job::{Outcome, ReportBody};

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
    assert!(matches!(finished.outcome, Outcome::Committed { .. }), "{finished:?}");
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
    assert!(matches!(site.finished(worker).await.outcome, Outcome::Committed { .. }));
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
        assert!(matches!(finished.outcome, Outcome::Committed { .. }), "{finished:?}");
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
    assert!(matches!(finished.outcome, Outcome::Lost { .. }), "{finished:?}");
    let wip = finished.wip.expect("is kept");
    assert_eq!(site.git(&["show", &format!("{wip}:half.txt")]), "half");
    assert_eq!(processes_of(&site, worker), Vec::<i32>::new());
    // And the next one runs.
    let next = site.assign(site.item(4, COMMIT)).await;
    assert!(matches!(site.finished(next).await.outcome, Outcome::Committed { .. }));
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
    assert!(matches!(finished.outcome, Outcome::Lost { .. }), "{finished:?}");
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
    eventually("a push fails", || site.agent_log().contains("cannot be brought to the coordinator yet")).await;
    std::fs::rename(&away, site.path().join("git")).expect("is moved back");
    site.coordinator.come_back().await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Committed { .. }), "{finished:?}");
    assert!(!site.git(&["rev-parse", "refs/sprint/work/106/1"]).is_empty());
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies), ["accepted", "started", "exited", "finished"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_commit_that_cannot_be_had_blames_nobody() {
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
    assert_eq!(finished.outcome, Outcome::Stopped { reason: "not needed".to_owned() });
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

/// A small file system in memory, taken away at the end.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).expect("is made");
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "none"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        Command::new("umount").args(["--lazy"]).arg(self.0).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_worker_and_not_the_agent() {
    let holder = tempfile::tempdir().expect("a directory");
    let path = holder.path().join("disk");
    let Some(disk) = SmallDisk::mount(&path, "16m") else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
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
    assert!(matches!(site.finished(third).await.outcome, Outcome::Committed { .. }));
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
    assert_eq!(finished.outcome, Outcome::Lost { reason: "its terminal was ended from outside".to_owned() });
    let exited = site.coordinator.with(|state| state.bodies(worker));
    assert!(exited.iter().any(|body| matches!(body, ReportBody::Exited { .. })), "{exited:?}");
}
