//! A worker's own `sprintctl`: what it can do, and that it can do nothing else.

use sprint_core::assignment::{AttemptOutcome, Outcome};

use crate::support::Site;

fn log(site: &Site, worker: sprint_core::ids::WorkerId) -> String {
    let log = std::fs::read_to_string(site.worker_dir(worker).join("terminal.log")).expect("a log");
    log.replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_says_that_there_is_nothing_to_do() {
    let site = Site::start(&[]).await;
    let worker =
        site.assign(site.item(1, "sprintctl item resolve --nothing-to-do 'it is in  README: \"hello\"'")).await;
    let finished = site.finished(worker).await;
    let reason = "it is in  README: \"hello\"".to_owned();
    assert_eq!(finished.outcome, Outcome::Attempt(AttemptOutcome::NothingToDo { reason }));
    assert!(finished.log_tail.contains("it counts when the command ends with 0"), "{finished:?}");
    // With a commit its word does not count.
    let run = "sprintctl item resolve --nothing-to-do no; echo a > a; git add a; git commit -qm a";
    let worker = site.assign(site.item(2, run)).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_sprintctl_shows_its_item_and_refuses_all_else_with_what_it_can_do() {
    let site = Site::start(&[]).await;
    let run = "exec 2>&1; sprintctl item show; sprintctl -o json item show | grep '\"item\"'; sprintctl --version; \
               for c in 'status' 'item list' 'item show 7' 'wait 7' '--context x item show' '' 'item resolve' 'item resolve --nothing-to-do' \
               'repo remove web'; do sprintctl $c; echo \"[$c] $?\"; done; \
               sprintctl item resolve --nothing-to-do ' '; echo \"[blank] $?\"; \
               env -u SPRINT_SOCKET sprintctl item show; echo \"[no socket] $?\"; \
               SPRINT_SOCKET=/nowhere sprintctl item show; echo \"[gone] $?\"; command -v sprintctl; exit 1";
    let worker = site.assign(site.item(3, run)).await;
    site.finished(worker).await;
    let log = log(&site, worker);
    for line in [
        "item         103",
        "title        Make it \"so\"",
        "  \"item\": 103,",
        "[blank] 1",
        "[no socket] 1",
        "[gone] 1",
    ] {
        assert!(log.lines().any(|found| found == line), "{line:?} is missing in\n{log}");
    }
    for refused in
        ["status", "item list", "item show 7", "wait 7", "--context x item show", "", "item resolve", "repo remove web"]
    {
        assert!(log.contains(&format!("[{refused}] 2")), "{refused} in\n{log}");
    }
    assert!(log.matches("A worker can:").count() >= 9, "{log}");
    assert!(log.lines().any(|line| line.ends_with("/context/bin/sprintctl")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_has_no_item_to_resolve() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.gates(4, &[("test", "sprintctl item resolve --nothing-to-do no")])).await;
    let finished = site.finished(worker).await;
    assert!(finished.log_tail.contains("a gate has no item that could be resolved"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_sprintctl_is_there_without_a_sandbox_and_after_an_update() {
    let mut site = Site::without_agent(&["--sandbox", "off"]).await;
    site.start_agent();
    site.joined(1).await;
    let worker = site.assign(site.item(5, "sprintctl item resolve --nothing-to-do so")).await;
    let outcome = site.finished(worker).await.outcome;
    assert!(matches!(outcome, Outcome::Attempt(AttemptOutcome::NothingToDo { .. })), "{outcome:?}");
}
