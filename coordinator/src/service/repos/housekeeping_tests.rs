use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sprint_core::event::{Actor, EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::ids::ChangeId;
use sprint_core::item::{Item, Stage};
use sprint_core::repo::Repo;
use tempfile::TempDir;

use super::*;
use crate::clock::{Host, Time};
use crate::config::FleetConfig;
use crate::git::GitRepos;
use crate::identity::Certificates;
use crate::service::fleet::logs::Logs;
use crate::store::{Location, Store, StoreError};

const KEEP: Duration = Duration::from_hours(24 * 30);

/// A clock that a test moves by hand.
#[derive(Clone)]
struct ByHand(Arc<AtomicI64>);

impl ByHand {
    fn forward(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).expect("is short"), Ordering::Relaxed);
    }
}

impl Host for ByHand {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

struct Site {
    sprint: Coordinator,
    clock: ByHand,
    git: Arc<GitRepo>,
    _directory: TempDir,
}

/// A coordinator with a repo, whose time begins now.
async fn site() -> Site {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let now = crate::service::now();
    let clock = ByHand(Arc::new(AtomicI64::new(now.as_millis())));
    let time = Arc::new(Time::of(clock.clone()));
    let store = Store::open_with(Location::Sqlite(&path.join("sprint.db")), time).await.expect("a record");
    let repos = GitRepos::open(path.join("repos")).await.expect("repositories");
    let logs = Logs::open(path.join("logs")).expect("logs");
    let certificates = Arc::new(Certificates::open(path, &[], None, now).expect("certificates"));
    let settings = FleetConfig { keep_work: KEEP, ..FleetConfig::default() };
    let name = fixtures::repo_name();
    let bare = path.join("repos").join(format!("{name}.git"));
    git2::Repository::init_bare(&bare).expect("is made");
    let git = repos.get(&name).expect("is opened");
    let sprint = Coordinator::new(store, repos, logs, certificates, path.to_owned(), settings);
    let repo = Repo { name, ..fixtures::repo() };
    let saved: Result<(), StoreError> = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.save(repo, event(EventKind::REPO_ADDED));
                Ok(())
            })
        })
        .await;
    saved.expect("is on record");
    Site { sprint, clock, git, _directory: directory }
}

fn event(kind: EventKind) -> NewEvent {
    NewEvent { kind, repo: None, item: None, actor: Actor::Scheduler, data: serde_json::json!({}) }
}

impl Site {
    /// Puts an item into a stage, as of now.
    async fn put(&self, id: u64, stage: Stage) {
        let item = Item { stage, stage_since: Some(self.sprint.now()), ..fixtures::item(id, 1) };
        let saved: Result<(), StoreError> = self
            .sprint
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.save(item, event(EventKind::ITEM_ADDED));
                    Ok(())
                })
            })
            .await;
        saved.expect("is on record");
    }

    /// A commit that some ref of an attempt names.
    fn work(&self, name: &str) -> CommitId {
        let empty = git_in(self.git.path(), &["mktree"]);
        let commit = git_in(self.git.path(), &["commit-tree", "-m", name, &empty]);
        let commit = CommitId::new(commit).expect("a commit");
        self.git.set_ref(name, &commit).expect("is set");
        commit
    }

    async fn tend(&self, work: &mut Work) {
        work.tend(&self.sprint, &fixtures::repo_name()).await.expect("is tended");
    }

    fn refs(&self) -> Vec<String> {
        self.git.refs_like("refs/sprint/*").expect("are read").into_iter().map(|(name, _)| name).collect()
    }
}

fn git_in(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@localhost"])
        .args(args)
        .current_dir(directory)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_when_its_time_has_come_and_that_of_unfinished_items_stays() {
    let site = site().await;
    let stages = [
        Stage::Done { commit: None },
        Stage::Cancelled { reason: "why".to_owned() },
        Stage::Ready,
        Stage::Blocked { reason: "why".to_owned() },
        Stage::Merging { change: ChangeId::new(1), landed: None },
        Stage::Inbox,
    ];
    for (id, stage) in (1..).zip(stages) {
        site.put(id, stage).await;
        for kind in ["work", "wip", "late/work"] {
            site.work(&format!("refs/sprint/{kind}/{id}/1"));
        }
        site.work(&format!("refs/sprint/left/{id}/1/stash/0"));
    }
    // Nobody knows an item 99.
    site.work("refs/sprint/work/99/1");
    let all = site.refs();
    let mut work = Work::default();
    site.tend(&mut work).await;
    assert_eq!(site.refs(), all);
    site.clock.forward(KEEP.checked_sub(Duration::from_hours(1)).expect("is longer"));
    site.tend(&mut work).await;
    assert_eq!(site.refs(), all, "an hour is left");
    site.clock.forward(Duration::from_hours(1));
    // One that has forgotten everything decides the same.
    site.tend(&mut Work::default()).await;
    let is_over = |name: &String| name.contains("/1/1") || name.contains("/2/1");
    let rest: Vec<_> = all.iter().filter(|name| !is_over(name)).cloned().collect();
    assert_eq!(site.refs(), rest);
    assert_eq!(all.len() - rest.len(), 8);
    // Blocked for a year; then it is cancelled, and its time begins.
    site.clock.forward(Duration::from_hours(24 * 365));
    site.tend(&mut work).await;
    assert_eq!(site.refs(), rest);
    site.put(4, Stage::Cancelled { reason: "why".to_owned() }).await;
    site.clock.forward(Duration::from_hours(2));
    site.tend(&mut work).await;
    assert_eq!(site.refs(), rest);
    site.clock.forward(KEEP);
    site.tend(&mut work).await;
    assert_eq!(site.refs(), rest.iter().filter(|name| !name.contains("/4/1")).cloned().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_up_again_in_time_keeps_its_work() {
    let site = site().await;
    site.put(1, Stage::Cancelled { reason: "why".to_owned() }).await;
    let commit = site.work("refs/sprint/work/1/1");
    let mut work = Work::default();
    site.tend(&mut work).await;
    site.clock.forward(KEEP * 2);
    // It was known until when its work is kept; that is true no more.
    site.put(1, Stage::Ready).await;
    site.tend(&mut work).await;
    assert_eq!(site.refs(), ["refs/sprint/work/1/1"]);
    // The same when that happened just before the removal.
    let all = BTreeMap::from([("refs/sprint/work/1/1".to_owned(), commit)]);
    let gone = ["refs/sprint/work/1/1".to_owned()];
    site.git.delete_refs(&gone).await.expect("is removed");
    put_back(&site.sprint, &site.git, &all, &gone).await.expect("is put back");
    assert_eq!(site.refs(), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_work_in_flight_needs_is_fetched_after_everything_was_packed_anew() {
    let site = site().await;
    site.put(1, Stage::Done { commit: None }).await;
    site.put(2, Stage::Ready).await;
    let over = site.work("refs/sprint/work/1/1");
    let running = site.work("refs/sprint/wip/2/1");
    // A gate's candidate, and a commit that somebody was told of just before its ref moved on.
    let candidate = site.work("refs/sprint/candidate/1");
    let moved = site.work("refs/sprint/wip/2/2");
    site.work("refs/sprint/wip/2/2");
    let mut work = Work::default();
    site.tend(&mut work).await;
    site.clock.forward(KEEP * 2);
    site.tend(&mut work).await;
    assert!(site.git.holds_unreached(), "a pass packs everything anew after a day");
    let clone = tempfile::tempdir().expect("a directory");
    git_in(clone.path(), &["init", "--quiet", "--bare"]);
    let url = format!("file://{}", site.git.path().display());
    for commit in [&running, &candidate, &moved, &over] {
        git_in(clone.path(), &["fetch", "--quiet", &url, commit.as_str()]);
    }
    assert!(!site.refs().contains(&"refs/sprint/work/1/1".to_owned()));
}

#[test]
fn everything_is_packed_anew_once_a_day_at_most_and_without_work_when_something_is_old_enough() {
    let at = |hours: u64| Timestamp::default().plus(Duration::from_hours(hours));
    for (has, holds, due) in
        [(false, false, None), (true, false, Some(24)), (false, true, Some(360)), (true, true, Some(24))]
    {
        for hours in [0, 23, 24, 359, 360, 10_000] {
            let is_due = due.is_some_and(|due| hours >= due);
            assert_eq!(reclaim_is_due(at(0), has, holds, at(hours)), is_due, "{has} {holds} {hours}");
        }
    }
}
