//! Leases: an outpost that is cut off keeps its work for a while, and then the work is tried elsewhere.
//!
//! Whatever an outpost says renews its leases. Only the coordinator measures, by a clock that does not jump, and
//! only while it is awake itself.

use std::sync::Arc;
use std::time::Duration;

use sprint_core::bounds::{REASON, cut};
use sprint_core::clock::Awake;
use sprint_core::worker::Worker;

use crate::service::capacity::lapses_in;
use crate::service::fleet::reports;
use crate::service::{Actor, Coordinator, ServiceError};

/// Takes the leases that have lapsed; answers when to look again, which is soon while any can lapse.
///
/// # Errors
/// What the store says.
pub async fn expire(sprint: &Coordinator) -> Result<Option<Duration>, ServiceError> {
    let mut next = None;
    for outpost in sprint.store.live().outposts() {
        let Some(left) = lapses_in(sprint, &outpost) else { continue };
        if left.is_zero() {
            let silence = sprint.fleet.silence(&outpost.name, sprint.store.time().elapsed());
            let reason = format!(
                "its outpost \"{}\" was away for {}",
                outpost.name,
                humantime::format_duration(Duration::from_secs(silence.as_secs()))
            );
            lose(sprint, &sprint.store.live().live_workers(&outpost.name), reason).await?;
        } else {
            let left = left.min(Awake::STEP);
            next = Some(next.map_or(left, |sooner: Duration| sooner.min(left)));
        }
    }
    Ok(next)
}

/// Takes workers for lost, those that are still live.
///
/// # Errors
/// What the store says.
pub async fn lose(sprint: &Coordinator, workers: &[Arc<Worker>], reason: String) -> Result<(), ServiceError> {
    let reason = cut(&reason, REASON);
    let ids = workers.iter().map(|worker| worker.id).collect::<Vec<_>>();
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for id in ids {
                    if let Some(worker) = tx.get(&id).await?.filter(|worker| worker.state.is_live()) {
                        reports::lose(tx, worker, reason.clone(), &Actor::Supervisor).await?;
                    }
                }
                Ok(())
            })
        })
        .await
}
