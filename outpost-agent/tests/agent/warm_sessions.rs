//! Warm sessions: a worker gets one if there is any, and nothing depends on them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_core::assignment::{AttemptOutcome, Outcome};
use sprint_test_needs::{Need, SmallDisk, have};

use crate::support::{Site, eventually};

const ONE_SLOT: &[&str] = &["--max-workers", "1", "--warm", "1"];

/// The warm sessions, with the processes of their panes.
fn warm(site: &Site) -> Vec<(String, i32)> {
    let sessions = site.tmux(&["list-panes", "-a", "-F", "#{session_name} #{pane_pid}"]).unwrap_or_default();
    let ours = sessions.lines().filter(|line| line.starts_with("warm-"));
    ours.filter_map(|line| line.split_once(' '))
        .map(|(name, pid)| (name.to_owned(), pid.parse().expect("a pid")))
        .collect()
}

async fn full(site: &Site, count: usize) -> Vec<(String, i32)> {
    eventually("its warm sessions wait", || warm(site).len() == count).await;
    warm(site)
}

/// Whether a process runs. One that has ended may stay in the list of processes: while tmux ends a pane, its library
/// for logins discards the signal that another one has ended.
fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// The clients of the session that keeps the agent's connection.
fn clients(site: &Site) -> Vec<String> {
    let clients = site.tmux(&["list-clients", "-t", "=control", "-F", "#{client_pid}"]).unwrap_or_default();
    clients.lines().map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_a_warm_session_and_another_takes_its_place() {
    let site = Site::start(ONE_SLOT).await;
    let (session, pid) = full(&site, 1).await.remove(0);
    let worker = site.assign(site.item(1, "echo ready; while ! test -e go; do sleep 0.02; done; exit 5")).await;
    site.logged(worker, "ready").await;
    assert_eq!(site.tmux(&["list-panes", "-t", "=w1", "-F", "#{pane_pid}"]).expect("a pane").trim(), pid.to_string());
    assert_ne!(full(&site, 1).await.remove(0).0, session);
    // What a person opens beside it begins where the worker works.
    let workspace = site.worker_dir(worker).join("workspace");
    let opened = || {
        site.tmux(&["new-window", "-t", "=w1:9"]);
        let paths = site.tmux(&["list-panes", "-s", "-t", "=w1", "-F", "#{pane_current_path}"]).unwrap_or_default();
        site.tmux(&["kill-window", "-t", "=w1:9"]);
        paths.lines().collect::<Vec<_>>() == [workspace.to_str().expect("text"); 2]
    };
    eventually("both panes are in the workspace", opened).await;
    std::fs::write(workspace.join("go"), b"").expect("is written");
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Failed { .. })), "{finished:?}");
    assert_eq!(finished.exit_code, Some(5));
    assert!(!site.data().join("strangers").exists(), "a warm session is no stranger's");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_waits_for_an_agent_that_is_gone() {
    let mut site = Site::start(&["--max-workers", "3", "--warm", "3"]).await;
    let waiting = full(&site, 3).await;
    site.kill_agent();
    eventually("they have ended", || waiting.iter().all(|(_, pid)| !lives(*pid))).await;
    site.start_agent();
    site.joined(2).await;
    let again = full(&site, 3).await;
    assert!(again.iter().all(|session| !waiting.contains(session)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_a_killed_agent_has_left_is_ended_by_the_next() {
    let mut site = Site::start(ONE_SLOT).await;
    full(&site, 1).await;
    // As one is left: its messages cannot be written, and its input never ends.
    let mut left = std::process::Command::new("tmux")
        .arg("-S")
        .arg(site.data().join("tmux.sock"))
        .args(["-C", "attach-session", "-t", "=control"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tmux starts");
    drop(left.stdout.take());
    let pid = left.id().to_string();
    eventually("it is a client", || clients(&site).contains(&pid)).await;
    site.kill_agent();
    site.start_agent();
    site.joined(2).await;
    eventually("it is gone, and the agent's own is there", || {
        let clients = clients(&site);
        clients.len() == 1 && !clients.contains(&pid)
    })
    .await;
    left.wait().expect("it has ended");
    let worker = site.assign(site.item(1, "exit 4")).await;
    assert_eq!(site.finished(worker).await.exit_code, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_session_that_is_closed_or_killed_is_replaced_and_holds_up_no_worker() {
    let site = Site::start(&["--max-workers", "2", "--warm", "2"]).await;
    let waiting = full(&site, 2).await;
    site.tmux(&["kill-session", "-t", &format!("={}", waiting[0].0)]).expect("is closed");
    kill(Pid::from_raw(waiting[1].1), Signal::SIGKILL).expect("is killed");
    // At once: the agent may not know yet.
    let worker = site.assign(site.item(2, "echo ready; exit 6")).await;
    assert_eq!(site.finished(worker).await.exit_code, Some(6));
    eventually("others take their place", || {
        let now = warm(&site);
        now.len() == 2 && now.iter().all(|session| !waiting.contains(session))
    })
    .await;
    assert_eq!(site.coordinator.with(|state| state.finished(worker)).expect("it ended").exit_code, Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_no_shim_of_the_agents_gets_no_worker() {
    let site = Site::start(ONE_SLOT).await;
    full(&site, 1).await;
    let socket = site.data().join("warm.sock");
    let mut stranger = UnixStream::connect(&socket).expect("listens");
    // It may have been refused by now.
    stranger.write_all(b"hello\n").ok();
    // Its session is taken, so that the agent expects the next one, and finds the stranger first.
    let worker = site.assign(site.item(3, "exit 7")).await;
    assert_eq!(site.finished(worker).await.exit_code, Some(7));
    full(&site, 1).await;
    stranger.set_read_timeout(Some(Duration::from_secs(20))).expect("is set");
    let mut said = vec![];
    // Closed, with or without an error, and nothing said.
    stranger.read_to_end(&mut said).ok();
    assert_eq!(said, b"");
    let worker = site.assign(site.item(4, "exit 8")).await;
    assert_eq!(site.finished(worker).await.exit_code, Some(8));
    eventually("it is in the log", || site.agent_log().contains("not a warm shim")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_session_is_taken_by_another_command_can_be_stopped() {
    let site = Site::start(ONE_SLOT).await;
    let waiting = full(&site, 1).await;
    let pid = site.tmux(&["new-session", "-d", "-P", "-F", "#{pane_pid}", "-s", "w5", "sleep 1000"]).expect("is made");
    let worker = site.assign(site.item(5, "exit 9")).await;
    site.started(worker).await;
    site.coordinator.stop_worker(worker, "enough").await;
    let finished = site.finished(worker).await;
    assert_eq!(finished.exit_code, None, "{finished:?}");
    assert_eq!(warm(&site), waiting, "it had no use for the warm session");
    assert!(!lives(pid.trim().parse().expect("a pid")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_session_has_its_namespaces_and_sees_what_the_host_mounts_meanwhile() {
    let dir = tempfile::tempdir().expect("a directory");
    let lent = dir.path().join("lent");
    std::fs::create_dir(&lent).expect("is made");
    let lent = lent.canonicalize().expect("is there");
    let mut options = ONE_SLOT.to_vec();
    options.extend(["--allow-read", lent.to_str().expect("text")]);
    let site = Site::start(&options).await;
    let (_, keeper) = full(&site, 1).await.remove(0);
    // The first command's own process is there, in namespaces of its own.
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    eventually("a process waits in a view of its own", || {
        descendants(keeper).into_iter().any(|pid| namespace(pid).is_some_and(|own| Some(own) != namespace(keeper)))
    })
    .await;
    let Some(_disk) = have(Need::Tmpfs, || SmallDisk::mount(lent.clone(), "1m")) else { return };
    std::fs::write(lent.join("late.txt"), "mounted meanwhile").expect("is written");
    let worker = site.assign(site.item(1, &format!("cat {}/late.txt; exit 5", lent.display()))).await;
    assert_eq!(site.finished(worker).await.exit_code, Some(5));
    let log = std::fs::read_to_string(site.worker_dir(worker).join("terminal.log")).expect("a log");
    assert!(log.contains("mounted meanwhile"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_waits_becomes_the_workers_command() {
    let site = Site::start(ONE_SLOT).await;
    let (_, keeper) = full(&site, 1).await.remove(0);
    let mut waiting = vec![];
    eventually("its processes wait", || {
        let before = std::mem::replace(&mut waiting, descendants(keeper));
        // The keeper's other side, what looks after the namespace, and the command to be.
        waiting.len() >= 4 && waiting == before
    })
    .await;
    let worker = site.assign(site.item(1, "echo ready; while ! test -e go; do sleep 0.02; done; exit 5")).await;
    site.logged(worker, "ready").await;
    let is_command = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"/bin/sh\0-c\0echo ready")
    };
    assert!(waiting.iter().any(is_command), "none of {waiting:?} has become the command");
    std::fs::write(site.worker_dir(worker).join("workspace/go"), b"").expect("is written");
    assert_eq!(site.finished(worker).await.exit_code, Some(5));
}

/// The processes below one.
fn descendants(of: i32) -> Vec<i32> {
    let children = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    let mut all = children(of);
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children(pid));
        next += 1;
    }
    all
}
