use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::config::FleetConfig;
use crate::git::GitRepos;
use crate::identity::Certificates;
use crate::service::fleet::logs::Logs;
use crate::service::now;
use crate::store::{Location, Store};

async fn coordinator() -> (Arc<Coordinator>, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let store = Store::open(Location::Sqlite(&path.join("sprint.db"))).await.expect("a record");
    let git = GitRepos::open(path.join("repos")).await.expect("repositories");
    let logs = Logs::open(path.join("logs")).expect("logs");
    let certificates = Arc::new(Certificates::open(path, &[], None, now()).expect("certificates"));
    let sprint = Coordinator::new(store, git, logs, certificates, path.to_owned(), FleetConfig::default());
    (Arc::new(sprint), directory)
}

/// A loop that does what a test says in its first passes.
struct Scripted {
    passes: Arc<AtomicU32>,
    first: fn(&Coordinator, u32) -> anyhow::Result<()>,
}

impl Loop for Scripted {
    const NAME: &'static str = "scripted";
    const TICK: Duration = Duration::from_hours(1);
    const AFTER_FAILURE: Duration = Duration::from_millis(500);

    fn woken_by(notices: &Notices) -> Option<&Notify> {
        Some(&notices.pipeline)
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        let number = self.passes.fetch_add(1, Ordering::Relaxed) + 1;
        (self.first)(sprint, number)?;
        Ok(Next::AtTick)
    }
}

fn start(sprint: &Arc<Coordinator>, first: fn(&Coordinator, u32) -> anyhow::Result<()>) -> JoinHandle<()> {
    tokio::spawn(run(Scripted { passes: Arc::default(), first }, Arc::clone(sprint)))
}

/// The loop's last pass, once it has made this number of passes.
async fn after(sprint: &Coordinator, passes: u64) -> (LoopPass, u64) {
    let look = || sprint.loops.list().into_iter().find(|status| status.passes >= passes);
    let patience = Duration::from_secs(20);
    let status = tokio::time::timeout(patience, async {
        loop {
            match look() {
                Some(status) => return status,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    });
    let status = status.await.unwrap_or_else(|_| panic!("no {passes} passes in {patience:?}"));
    (status.last_pass.expect("a pass has ended"), status.failures)
}

#[tokio::test]
async fn a_pass_that_fails_is_shown_with_its_error_and_tried_again() {
    let (sprint, _directory) = coordinator().await;
    let driver = start(&sprint, |_, pass| match pass {
        1 => Err(anyhow::anyhow!("the disk is full").context("nothing can be written")),
        2 => panic!("on purpose"),
        _ => Ok(()),
    });
    let (first, failures) = after(&sprint, 1).await;
    assert_eq!(
        (first.reason, first.error.as_deref()),
        (PassReason::Start, Some("nothing can be written: the disk is full"))
    );
    assert_eq!(failures, 1);
    let (second, _) = after(&sprint, 2).await;
    assert_eq!((second.reason, second.error.as_deref()), (PassReason::Tick, Some("the pass panicked")));
    let (third, failures) = after(&sprint, 3).await;
    assert_eq!((third.reason, third.error, failures), (PassReason::Tick, None, 2));
    sprint.stop.cancel();
    driver.await.expect("the loop ends with the coordinator");
}

#[tokio::test]
async fn a_notice_during_a_pass_is_not_lost() {
    let (sprint, _directory) = coordinator().await;
    let driver = start(&sprint, |sprint, pass| {
        if pass == 1 {
            // No task waits for it at this moment.
            sprint.notices().pipeline.notify_one();
        }
        Ok(())
    });
    let (second, _) = after(&sprint, 2).await;
    assert_eq!(second.reason, PassReason::Notified);
    sprint.stop.cancel();
    driver.await.expect("the loop ends with the coordinator");
}

#[tokio::test]
async fn a_loop_that_waits_ends_when_the_coordinator_stops() {
    let (sprint, _directory) = coordinator().await;
    let driver = start(&sprint, |_, _| Ok(()));
    after(&sprint, 1).await;
    sprint.stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), driver).await.expect("in time").expect("no panic");
}
