//! A worker's terminal: the log does not depend on its pane, and the pane is a terminal like any other.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_core::assignment::{AttemptOutcome, Outcome};

use crate::support::{Site, contains, eventually, lost, processes_of};

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().expect("a pid"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_says_after_its_pane_was_closed_is_in_its_log() {
    let site = Site::start(&[]).await;
    let run = "trap '' HUP; trap 'sleep 0.2; echo last words; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let worker = site.assign(site.item(1, run)).await;
    site.logged(worker, "ready").await;
    site.tmux(&["kill-session", "-t", "=w1"]).expect("is closed");
    site.finished(worker).await;
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert!(contains(&log, b"last words"), "{}", String::from_utf8_lossy(&log));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_wait_for_a_tmux_that_hangs_and_its_log_is_whole() {
    let site = Site::start(&[]).await;
    let (go, printed) = (site.outside().join("go"), site.outside().join("printed"));
    let count = 500_000;
    let run = format!(
        "echo ready; while ! test -e '{}'; do sleep 0.02; done; seq {count}; : > '{}'",
        go.display(),
        printed.display()
    );
    let worker = site.assign(site.item(2, &run)).await;
    site.logged(worker, "ready").await;
    let server = pid(&site.tmux(&["display-message", "-p", "#{pid}"]).expect("a server"));
    kill(server, Signal::SIGSTOP).expect("is stopped");
    std::fs::write(&go, b"").expect("is written");
    eventually("it has printed everything", || printed.exists()).await;
    kill(server, Signal::SIGCONT).expect("goes on");
    let finished = site.finished(worker).await;
    site.forgotten(worker).await;
    let log = String::from_utf8(site.coordinator.with(|state| state.log(worker))).expect("text");
    assert_eq!(finished.log_bytes, log.len() as u64);
    let numbers = log.lines().skip(1).map(|line| line.parse::<u32>().expect("a number"));
    assert!(numbers.eq(1..=count), "the log has a gap, or what only the pane is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_processes_are_all_killed_is_lost_and_leaves_nothing_running() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(3, "echo half > half.txt; setsid sleep 1000 & echo ready; sleep 1000")).await;
    site.logged(worker, "ready").await;
    let claim = std::fs::read_to_string(site.worker_dir(worker).join("exit-1.new")).expect("a claim");
    let keeper = pid(&site.tmux(&["list-panes", "-t", "=w3", "-F", "#{pane_pid}"]).expect("a pane"));
    for process in [pid(claim.lines().next().expect("a line")), keeper] {
        kill(process, Signal::SIGKILL).expect("is killed");
    }
    let finished = site.finished(worker).await;
    lost(&finished.outcome);
    assert!(finished.wip.is_some());
    assert_eq!(processes_of(&site, worker), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_the_pane_and_the_keys_of_a_person_reach_the_command() {
    let site = Site::start(&[]).await;
    let run = "trap 'stty size' WINCH; trap 'echo interrupted; exit 4' INT; stty size; echo ready; \
               while :; do sleep 0.05; done";
    let worker = site.assign(site.item(4, run)).await;
    site.logged(worker, "50 200\r\nready").await;
    site.coordinator.attach(worker, 100, 30).await;
    site.logged(worker, "30 100").await;
    site.coordinator.press("\u{3}").await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Failed { .. })), "{finished:?}");
    assert_eq!(finished.exit_code, Some(4));
    site.forgotten(worker).await;
    assert!(contains(&site.coordinator.with(|state| state.log(worker)), b"interrupted"));
}
