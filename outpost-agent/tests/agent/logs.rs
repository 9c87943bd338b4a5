//! Terminals: what they print arrives, whole and soon, and people can attach to them.

use sprint_core::assignment::{AttemptOutcome, Outcome};

use crate::support::{Site, contains, eventually, failed};

const COMMIT: &str = "echo a > a; git add a; git commit -qm a";

#[tokio::test(flavor = "multi_thread")]
async fn non_utf8_output_arrives_unchanged() {
    let site = Site::start(&[]).await;
    let run = "stty raw; printf '\\377\\376\\000\\001\\200caf\\351\\n'; printf '\\303\\050'";
    let worker = site.assign(site.item(1, run)).await;
    let finished = site.finished(worker).await;
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert_eq!(log, b"\xff\xfe\x00\x01\x80caf\xe9\n\xc3\x28");
    assert_eq!(finished.log_bytes, log.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_log_arrives_whole_while_the_coordinator_comes_and_goes() {
    let mut site = Site::start(&[]).await;
    let count = 2_000_000;
    let worker = site.assign(site.item(2, &format!("stty -onlcr; seq {count}"))).await;
    for size in [1 << 20, 4 << 20] {
        site.coordinator.until("some of it is here", |state| state.log(worker).len() > size).await;
        site.coordinator.go_away();
        site.coordinator.come_back().await;
    }
    let finished = site.finished(worker).await;
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert_eq!(finished.log_bytes, log.len() as u64);
    let text = String::from_utf8(log).expect("text");
    assert!(text.lines().map(|line| line.parse::<u32>().expect("a number")).eq(1..=count));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_ends_at_its_limit_and_the_worker_goes_on() {
    let site = Site::start(&["--log-limit", "1MiB"]).await;
    let worker = site.assign(site.item(3, &format!("head -c 8M /dev/zero | tr '\\0' x; {COMMIT}"))).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    site.forgotten(worker).await;
    let log = site.coordinator.with(|state| state.log(worker));
    assert!(log[..1 << 20].iter().all(|byte| *byte == b'x'));
    let note = "[sprint] the log has reached its limit of 1048576 bytes: further output is not kept";
    assert_eq!(String::from_utf8_lossy(&log[1 << 20..]).trim(), note);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_into_an_attached_terminal_reaches_the_worker() {
    let site = Site::start(&[]).await;
    let run = "stty size; echo ready; read line; echo \"got <$line>\"; read line";
    let worker = site.assign(site.item(4, run)).await;
    site.logged(worker, "ready").await;
    site.coordinator.attach(worker, 100, 30).await;
    site.coordinator.until("the screen shows", |state| contains(&state.shown, b"ready")).await;
    site.coordinator.press("hello\r").await;
    site.coordinator.until("the answer shows", |state| contains(&state.shown, b"got <hello>")).await;
    let window = site.tmux(&["list-windows", "-t", "=w4", "-F", "#{window_width}x#{window_height}"]);
    assert_eq!(window.as_deref(), Some("100x30\n"));
    site.coordinator.press("bye\r").await;
    site.finished(worker).await;
    site.coordinator.until("the terminal ends", |state| state.ended.is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_does_not_run_cannot_be_attached() {
    let site = Site::start(&[]).await;
    site.coordinator.attach(sprint_core::ids::WorkerId::new(77), 80, 24).await;
    site.coordinator.until("it is refused", |state| state.ended.is_some()).await;
    let ended = site.coordinator.with(|state| state.ended.clone());
    assert_eq!(ended.as_deref(), Some("worker 77 is not on this outpost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_its_prompt_in_the_way_that_its_runtime_sets() {
    use sprint_core::runtime::PromptDelivery;
    let site = Site::start(&[]).await;
    let mut by_stdin = site.item(5, "");
    by_stdin.steps[0].runtime.command = vec!["/bin/cat".to_owned()];
    by_stdin.steps[0].runtime.prompt = PromptDelivery::Stdin;
    let mut by_argument = site.item(6, "");
    by_argument.steps[0].runtime.command = vec!["/bin/echo".to_owned(), "<{{ prompt_file }}>".to_owned()];
    by_argument.steps[0].runtime.prompt = PromptDelivery::Argument;
    let mut misspelt = site.item(7, "");
    misspelt.steps[0].runtime.command = vec!["/bin/echo".to_owned(), "{{ rum }}".to_owned()];
    let (one, two) = (site.assign(by_stdin).await, site.assign(by_argument).await);
    let three = site.assign(misspelt).await;
    let prompt = "Please do it.";
    assert_eq!(site.finished(one).await.log_tail.replace('\r', ""), prompt);
    let expected = format!("<{}> {prompt}", site.worker_dir(two).join("context/prompt.md").display());
    // The terminal wraps nothing: tmux keeps what is printed.
    assert_eq!(site.finished(two).await.log_tail.replace('\r', ""), expected);
    let reason = failed(&site.finished(three).await.outcome);
    assert!(reason.contains("{{ rum }}"), "{reason}");
    eventually("no worker's session is left", || {
        let sessions = site.tmux(&["list-sessions", "-F", "#{session_name}"]).unwrap_or_default();
        sessions.lines().filter(|name| !name.starts_with("warm-")).eq(["control"])
    })
    .await;
}
