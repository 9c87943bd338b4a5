//! Outposts: joining, leaving, and what a person may do with them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprint_core::act::Act;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{KeyId, OutpostName, WorkerId};
use sprint_core::outpost::{Load, Outpost};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::OutpostPatch;
use sprint_core::schedule::Capacity;
use sprint_core::worker::{Worker, WorkerEvent};

use crate::service::admission::secrets;
use crate::service::capacity::lapses_in;
use crate::service::fleet::reports;
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

pub(crate) fn event(kind: EventKind, actor: &Actor, outpost: &OutpostName, mut data: serde_json::Value) -> NewEvent {
    data["outpost"] = json!(outpost);
    NewEvent { kind, repo: None, item: None, actor: actor.clone(), data }
}

/// An outpost with what is known of it beside the record.
#[derive(Debug, Clone)]
pub struct Status {
    pub outpost: Outpost,
    /// Slots in use.
    pub active_workers: u32,
    /// What it last said of its host.
    pub load: Option<Load>,
    /// While it is cut off and holds leases: how long it still keeps them.
    pub lapses_in: Option<Duration>,
}

/// All outposts, with the slots in use and what they last said of themselves.
pub fn list(sprint: &Coordinator) -> Vec<Status> {
    let (outposts, _) = sprint.store.live().capacities();
    outposts
        .into_iter()
        .map(|Capacity { outpost, in_use }| {
            let mut outpost = Arc::unwrap_or_clone(outpost);
            let (seen, load) = sprint.fleet.heartbeat(&outpost.name).unwrap_or((outpost.last_seen, None));
            // A heartbeat is no change of the record, and is not stored.
            outpost.last_seen = outpost.last_seen.max(seen);
            let lapses_in = lapses_in(sprint, &outpost);
            Status { lapses_in, outpost, active_workers: in_use.total(), load }
        })
        .collect()
}

/// Changes an outpost's settings.
///
/// # Errors
/// There is no such outpost.
pub async fn set(sprint: &Coordinator, patch: OutpostPatch, by: Actor) -> Result<Outpost, ServiceError> {
    let OutpostPatch { name, disconnect_grace } = patch;
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut outpost = tx.get(&name).await?.ok_or_else(|| ServiceError::no_outpost(&name))?;
                outpost.disconnect_grace = disconnect_grace.unwrap_or(outpost.disconnect_grace);
                let grace = outpost.disconnect_grace.map(|grace| humantime::format_duration(grace).to_string());
                let data = json!({ "disconnect_grace": grace });
                tx.save(outpost.clone(), event(EventKind::OUTPOST_CHANGED, &by, &name, data));
                Ok(outpost)
            })
        })
        .await
}

/// Gives an outpost nothing new, or lets it have work again.
///
/// # Errors
/// There is no such outpost.
pub async fn set_draining(
    sprint: &Coordinator,
    name: OutpostName,
    draining: bool,
    actor: Actor,
) -> Result<Outpost, ServiceError> {
    let connected = sprint.fleet.is_live(&name);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut outpost = tx.get(&name).await?.ok_or_else(|| ServiceError::no_outpost(&name))?;
                if outpost.draining == draining {
                    return Ok(outpost);
                }
                outpost.draining = draining;
                outpost.settle(connected);
                let kind = if draining { EventKind::OUTPOST_DRAINING } else { EventKind::OUTPOST_RESUMED };
                tx.save(outpost.clone(), event(kind, &actor, &name, json!({})));
                tx.notify(Notice::Scheduler);
                Ok(outpost)
            })
        })
        .await
}

/// Removes an outpost: its certificate is refused from the commit on. With force, also one that is connected or has workers, which are lost.
///
/// # Errors
/// [`Code::OutpostConnected`] or [`Code::OutpostBusy`] when force would be needed.
pub async fn remove(sprint: &Coordinator, name: OutpostName, force: bool, by: Actor) -> Result<Outpost, ServiceError> {
    if sprint.fleet.is_live(&name) && !force {
        let why = format!("outpost \"{name}\" is connected; stop its agent first, or remove it by force");
        return Err(Refusal::new(Code::OutpostConnected, why).next(Act::ForceRemoveOutpost(name)).into());
    }
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let live = tx.live_workers(&name).await?;
                let outpost = tx.get(&name).await?.ok_or_else(|| ServiceError::no_outpost(&name))?;
                if !live.is_empty() && !force {
                    let why = format!(
                        "outpost \"{name}\" has {} workers; drain it and wait for them, or remove it by force",
                        live.len()
                    );
                    return Err(Refusal::new(Code::OutpostBusy, why).next(Act::DrainOutpost(name)).into());
                }
                // Its session looks whether it still belongs here.
                tx.notify(Notice::Outpost(name.clone()));
                // Another outpost may get the name.
                secrets::forget(tx, |scope| scope.outpost.as_ref() == Some(&name), &by).await?;
                tx.remove(&name, event(EventKind::OUTPOST_REMOVED, &by, &name, json!({})));
                for worker in live {
                    let reason = format!("its outpost \"{name}\" was removed");
                    reports::lose(tx, worker, reason, &by).await?;
                }
                Ok(outpost)
            })
        })
        .await
}

/// Whether an outpost is on record with this key.
pub fn is_member(sprint: &Coordinator, name: &OutpostName, key: &KeyId) -> bool {
    sprint.store.live().outpost(key).as_ref() == Some(name)
}

/// Asks for a worker's end.
///
/// # Errors
/// There is no such worker, or [`ServiceError::Refused`] when it has ended.
pub async fn stop_worker(
    sprint: &Coordinator,
    id: WorkerId,
    reason: String,
    by: Actor,
) -> Result<Worker, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move { transition::apply(tx, id, WorkerEvent::StopRequested { reason }, &by).await })
        })
        .await
}
