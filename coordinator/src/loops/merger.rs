//! Drives each repo's merge queue in a task of its own, so that one repo's slow
//! upstream delays no other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sprint_core::ids::RepoName;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::service::queue::merge;
use crate::service::repos;
use crate::service::{Coordinator, ServiceError};

/// The safety net, and the pause before an upstream that failed is tried again.
const TICK: Duration = Duration::from_secs(10);

pub(super) async fn run(sprint: Arc<Coordinator>, stop: CancellationToken) {
    let mut running = JoinSet::new();
    let mut busy = HashMap::new();
    let mut again = HashSet::new();
    let mut look = true;
    // At the start every repo is looked at: an upstream push may be owed.
    let mut all = true;
    loop {
        if look {
            match to_look_at(&sprint, all).await {
                Ok(found) => {
                    for name in found {
                        if busy.values().any(|held| *held == name) {
                            again.insert(name);
                        } else {
                            start(&sprint, &mut running, &mut busy, name);
                        }
                    }
                    all = false;
                }
                Err(error) => tracing::error!(%error, "the merge queues could not be read"),
            }
        }
        look = true;
        tokio::select! {
            () = stop.cancelled() => break,
            () = sprint.notices().merger.notified() => {}
            () = tokio::time::sleep(TICK) => all = true,
            Some(ended) = running.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(%error, "a merge queue's task ended badly");
                        error.id()
                    }
                };
                // A notice that came while it ran may have been meant for what it had passed.
                if let Some(name) = busy.remove(&id) && again.remove(&name) {
                    start(&sprint, &mut running, &mut busy, name);
                }
                look = false;
            }
        }
    }
    // A landing is a matter of milliseconds and can be resumed at any point.
    running.shutdown().await;
}

fn start(
    sprint: &Arc<Coordinator>,
    running: &mut JoinSet<()>,
    busy: &mut HashMap<tokio::task::Id, RepoName>,
    name: RepoName,
) {
    let handle = running.spawn(drive(Arc::clone(sprint), name.clone()));
    busy.insert(handle.id(), name);
}

async fn to_look_at(sprint: &Coordinator, all: bool) -> Result<Vec<RepoName>, ServiceError> {
    if all { Ok(repos::list(sprint).iter().map(|repo| repo.name.clone()).collect()) } else { Ok(merge::busy(sprint)) }
}

async fn drive(sprint: Arc<Coordinator>, name: RepoName) {
    merge::drive(&sprint, &name).await;
}
