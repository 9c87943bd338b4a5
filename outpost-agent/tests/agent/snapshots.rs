//! Work that is brought to the coordinator while its worker runs.

use std::os::unix::fs::PermissionsExt as _;

use sprint_core::assignment::{AttemptOutcome, Outcome};
use sprint_core::ids::WorkerId;

use crate::support::{Site, eventually};

/// How often, in these tests.
const EVERY_MS: u64 = 100;

async fn site() -> Site {
    let mut site = Site::without_agent(&[]).await;
    site.coordinator.with(|state| state.snapshot_ms = EVERY_MS);
    site.git(&["config", "core.logAllRefUpdates", "always"]);
    site.start_agent();
    site.joined(1).await;
    site
}

/// What a ref holds, if there is one.
fn held(site: &Site, name: &str, path: &str) -> Option<String> {
    let refs = site.git(&["for-each-ref", "--format=%(objectname)", name]);
    let files = site.git(&["ls-tree", "-r", "--name-only", refs.lines().next()?]);
    files.lines().any(|file| file == path).then(|| site.git(&["show", &format!("{name}:{path}")]))
}

/// How often a ref was moved.
fn moves(site: &Site, name: &str) -> usize {
    std::fs::read_to_string(site.repository().join("logs").join(name)).unwrap_or_default().lines().count()
}

/// A command line that waits for a file outside.
fn wait(site: &Site, name: &str) -> String {
    format!("while ! test -e '{}'; do sleep 0.02; done", site.outside().join(name).display())
}

fn go(site: &Site, name: &str) {
    std::fs::write(site.outside().join(name), "").expect("is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_at_the_coordinator_before_its_worker_ends() {
    let site = site().await;
    let run = format!(
        "echo staged > staged; git add staged; echo half > half; echo ready; {}; \
         git diff --cached --name-only; git stash list; git add -A; git commit -qm a; echo more > more; \
         {}; git add -A; git commit -qm b",
        wait(&site, "commit"),
        wait(&site, "end")
    );
    let worker = site.assign(site.item(1, &run)).await;
    let wip = "refs/sprint/wip/101/1";
    eventually("a snapshot comes", || held(&site, wip, "half").as_deref() == Some("half")).await;
    assert_eq!(held(&site, wip, "staged").as_deref(), Some("staged"));
    assert_eq!(site.git(&["rev-parse", &format!("{wip}^")]), site.base.as_str());
    go(&site, "commit");
    // One that was taken while git committed may hold the files and not yet the commit.
    let stands_on = || site.git(&["log", "-1", "--format=%s", &format!("{wip}^")]);
    eventually("the next stands on the commit", || held(&site, wip, "more").is_some() && stands_on() == "a").await;
    let parents = site.git(&["rev-list", "--parents", "-1", wip]);
    assert_eq!(parents.split(' ').count(), 2, "{parents}");
    assert!(site.git(&["for-each-ref", "refs/sprint/work"]).is_empty());
    go(&site, "end");
    let finished = site.finished(worker).await;
    let Outcome::Attempt(AttemptOutcome::Committed { head }) = &finished.outcome else { panic!("{finished:?}") };
    assert_eq!(finished.wip, None);
    // What is at the ref of snapshots is never older than the work.
    assert_eq!(site.git(&["rev-parse", wip]), head.as_str());
    // Its own index was as it had left it.
    assert_eq!(finished.log_tail.split_ascii_whitespace().collect::<Vec<_>>(), ["ready", "staged"]);
    let left = std::fs::read_dir(site.worker_dir(worker)).expect("a list").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("snapshot-")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_alone_are_a_snapshot_too() {
    let site = site().await;
    let run = "echo a > a; git add a; git commit -qm a; echo ready; sleep 1000";
    let worker = site.assign(site.item(2, run)).await;
    // What came before it was committed has another subject.
    let wip = "refs/sprint/wip/102/1";
    let subject = || held(&site, wip, "a").map(|_| site.git(&["log", "-1", "--format=%s", wip]));
    eventually("the commit comes", || subject().as_deref() == Some("a")).await;
    site.coordinator.stop_worker(worker, "enough").await;
    site.finished(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_or_is_ignored_is_not_pushed_again() {
    let mut site = site().await;
    let quiet = "printf 'target/\\n*.log\\n' > .gitignore; mkdir -p target/deep; echo once > once; echo ready; \
                 while :; do date +%N | tee target/deep/x > y.log; sleep 0.02; done";
    let busy = "while :; do date +%N > x; sleep 0.02; done";
    let quiet = site.assign(site.item(3, quiet)).await;
    let busy = site.assign(site.item(4, busy)).await;
    let (still, moving) = ("refs/sprint/wip/103/1", "refs/sprint/wip/104/1");
    eventually("both have snapshots", || moves(&site, still) > 0 && moves(&site, moving) > 4).await;
    let before = moves(&site, still);
    let until = moves(&site, moving) + 6;
    eventually("time goes by", || moves(&site, moving) >= until).await;
    assert_eq!(moves(&site, still), before);
    // Nor by an agent that knows of it only what is on the disk.
    site.kill_agent();
    site.start_agent();
    let until = moves(&site, moving) + 4;
    eventually("time goes by", || moves(&site, moving) >= until).await;
    assert_eq!(moves(&site, still), before);
    for worker in [quiet, busy] {
        site.coordinator.until("the agent is back", |state| state.hellos.len() >= 2).await;
        site.coordinator.stop_worker(worker, "enough").await;
        site.finished(worker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_pushed_is_tried_again() {
    let site = site().await;
    let away = site.path().join("away");
    let worker = site.assign(site.item(5, &format!("{}; echo half > half; sleep 1000", wait(&site, "write")))).await;
    site.started(worker).await;
    std::fs::rename(site.repository(), &away).expect("is moved");
    go(&site, "write");
    eventually("a push fails", || site.agent_log().contains("a snapshot failed")).await;
    std::fs::rename(&away, site.repository()).expect("is moved back");
    eventually("a snapshot comes", || held(&site, "refs/sprint/wip/105/1", "half").is_some()).await;
    site.coordinator.stop_worker(worker, "enough").await;
    site.finished(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_over_gets_no_more_snapshots() {
    let site = site().await;
    let hook = site.repository().join("hooks/update");
    let text = "#!/bin/sh\ncase $1 in refs/sprint/late/*) exit 0;; esac\necho 'attempt 1 is over' >&2; exit 1\n";
    std::fs::create_dir_all(hook.parent().expect("a parent")).expect("is made");
    std::fs::write(&hook, text).expect("is written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("is set");
    let worker = site.assign(site.item(6, "while :; do date +%N > x; sleep 0.02; done")).await;
    eventually("it ends", || site.agent_log().contains("no more snapshots are taken")).await;
    site.coordinator.stop_worker(worker, "over").await;
    let finished = site.finished(worker).await;
    assert_eq!(site.agent_log().matches("no more snapshots are taken").count(), 1);
    let late = site.git(&["rev-parse", "refs/sprint/late/wip/106/1"]);
    assert_eq!(finished.wip.as_ref().map(sprint_core::ids::CommitId::as_str), Some(late.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_have_no_snapshots_and_never_means_never() {
    let site = Site::start(&[]).await;
    let never = site.assign(site.item(7, &format!("echo x > x; echo ready; {}", wait(&site, "end")))).await;
    site.logged(never, "ready").await;
    go(&site, "end");
    site.finished(never).await;
    assert!(!site.worker_dir(never).join("snapshot.json").exists());
    let site = self::site().await;
    let gate = site.assign(site.gates(8, &[("a", &format!("echo x > x; {}", wait(&site, "end")))])).await;
    let busy = site.assign(site.item(9, "while :; do date +%N > x; sleep 0.02; done")).await;
    eventually("time goes by", || moves(&site, "refs/sprint/wip/109/1") >= 5).await;
    go(&site, "end");
    site.finished(gate).await;
    assert!(site.git(&["for-each-ref", "refs/sprint/wip/108"]).is_empty());
    site.coordinator.stop_worker(busy, "enough").await;
    site.finished(WorkerId::new(9)).await;
}
