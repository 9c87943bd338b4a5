//! Joining, leaving, and being refused.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_core::assignment::{AttemptOutcome, Outcome};

use crate::support::{Site, eventually, lost};

#[tokio::test(flavor = "multi_thread")]
async fn the_hello_says_what_the_outpost_offers_and_heartbeats_follow() {
    let site = Site::start(&["--max-workers", "7", "--label", "gpu=yes", "--label", "zone=b"]).await;
    site.coordinator.until("heartbeats come", |state| state.heartbeats.len() >= 3).await;
    let (hello, beat) = site.coordinator.with(|state| (state.hellos[0].clone(), state.heartbeats[1].clone()));
    assert_eq!((hello.outpost.as_str(), hello.max_workers, hello.draining), ("test", 7, false));
    assert_eq!(hello.labels.get("gpu").map(String::as_str), Some("yes"));
    assert_eq!((hello.labels.len(), hello.instance.is_empty()), (3, false));
    assert!(hello.labels.contains_key("sandbox"), "{:?}", hello.labels);
    let load = beat.load.expect("a load");
    assert!(load.free_disk_bytes > 0 && load.free_memory_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_outpost_says_why_and_tries_again() {
    let mut site = Site::without_agent(&[]).await;
    site.coordinator.with(|state| state.refuse = Some("the name \"test\" is in use".to_owned()));
    site.start_agent();
    eventually("the reason is logged", || site.agent_log().contains("the name \\\"test\\\" is in use")).await;
    site.coordinator.with(|state| state.refuse = None);
    site.joined(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_leaves_workers_running_and_says_so() {
    let mut site = Site::start(&[]).await;
    let worker = site.assign(site.item(1, "echo ready; read line; echo a > a; git add a; git commit -qm a")).await;
    site.logged(worker, "ready").await;
    let began = Instant::now();
    kill(Pid::from_raw(site.agent_pid()), Signal::SIGTERM).expect("is told");
    assert!(site.agent_ends().await.success());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(site.agent_log().contains("1 workers go on and are adopted at the next start"), "{}", site.agent_log());
    site.tmux(&["send-keys", "-t", "=w1:", "Enter"]).expect("the worker runs");
    site.start_agent();
    assert!(matches!(site.finished(worker).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_outpost_waits_for_its_workers_and_takes_no_more() {
    let mut site = Site::start(&[]).await;
    let worker = site.assign(site.item(1, "echo ready; read line; echo a > a; git add a; git commit -qm a")).await;
    site.logged(worker, "ready").await;
    site.kill_agent();
    site.add_option("--drain");
    site.start_agent();
    site.joined(2).await;
    assert!(site.coordinator.with(|state| state.hellos[1].draining));
    let refused = site.assign(site.item(2, "true")).await;
    let reason = lost(&site.finished(refused).await.outcome);
    assert!(reason.contains("draining"), "{reason}");
    site.tmux(&["send-keys", "-t", "=w1:", "Enter"]).expect("the worker runs");
    assert!(matches!(site.finished(worker).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
    site.coordinator.forget(refused).await;
    site.coordinator.forget(worker).await;
    assert!(site.agent_ends().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_data_is_refused_by_name() {
    let site = Site::start(&[]).await;
    let mut second = site.agent_command();
    let output = tokio::task::spawn_blocking(move || second.output().expect("it runs")).await.expect("it ran");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("the agent with pid {} holds it", site.agent_pid())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_tmux_is_refused_before_it_joins() {
    let site = Site::without_agent(&[]).await;
    let mut command = site.agent_command();
    command.env("PATH", site.path());
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ran");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let expected = "tmux was not found; workers run in it; install it (Debian: apt-get install tmux)";
    assert!(said.contains(expected), "{said}");
    assert!(site.coordinator.with(|state| state.hellos.is_empty()));
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_outpost-agent")).args(args).env_clear().output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["join"]).0, Some(2));
    let (code, said) = run(&["join", "--coordinator", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("HOST:PORT"), "{said}");
    assert_eq!(run(&["join", "--coordinator", "a:1", "--name", "Bad Name"]).0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_session_is_saved_reported_once_and_left_alone() {
    let mut site = Site::start(&[]).await;
    let worker = site.assign(site.item(1, "echo ready; sleep 1000")).await;
    site.logged(worker, "ready").await;
    // A worker's whose directory is gone is a stranger to the next agent.
    site.kill_agent();
    std::fs::remove_dir_all(site.worker_dir(worker)).expect("is removed");
    site.tmux(&["new-session", "-d", "-s", "my work", "echo precious; sleep 1000"]).expect("is made");
    let shows = || site.tmux(&["capture-pane", "-p", "-t", "=my work:"]).is_some_and(|text| text.contains("precious"));
    eventually("it shows something", shows).await;
    site.start_agent();
    site.coordinator.until("both are reported", |state| state.found.len() >= 2).await;
    let found = site.coordinator.with(|state| state.found.clone());
    let saved = site.data().join("strangers/my_work.txt");
    assert_eq!((found[0].session.as_str(), found[0].saved_to.as_str()), ("my work", saved.to_str().expect("UTF-8")));
    assert_eq!(found[1].session, "w1");
    assert!(std::fs::read_to_string(&saved).expect("is saved").contains("precious"));
    let sessions = site.tmux(&["list-sessions", "-F", "#{session_name}"]).expect("a server");
    assert!(sessions.contains("my work") && sessions.contains("w1"), "{sessions}");
    // Nothing is reported twice, neither when more sessions come nor by the next agent.
    site.kill_agent();
    site.start_agent();
    site.joined(3).await;
    site.tmux(&["new-session", "-d", "-s", "third", "sleep 1000"]).expect("is made");
    site.coordinator.until("it is reported as well", |state| state.found.len() >= 3).await;
    let names =
        site.coordinator.with(|state| state.found.iter().map(|found| found.session.clone()).collect::<Vec<_>>());
    assert_eq!(names, ["my work", "w1", "third"]);
}
