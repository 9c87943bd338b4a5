//! Outposts that come and go: what they have is compared with what they should have.

use std::collections::BTreeSet;

use serde_json::json;
use sprint_core::bounds::{OUTPOST_WORD, cut};
use sprint_core::event::EventKind;
use sprint_core::ids::{OutpostName, WorkerId};
use sprint_core::outpost::{Load, OutpostState};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::{Hello, InventoryEntry};
use sprint_core::worker::WorkerStateName;

use crate::service::fleet::connections::SessionHold;
use crate::service::fleet::outposts;
use crate::service::fleet::outposts::event;
use crate::service::fleet::reports;
use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::{Notice, Tx};

/// What an outpost must do so that it and the record agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconcile {
    /// End it: the record has no such live worker.
    Stop { worker: WorkerId, reason: String },
    /// Remove what is left of it: the record is complete.
    Forget { worker: WorkerId },
}

/// Takes an outpost in: records it, and compares what it has with what it should have.
///
/// # Errors
/// [`Code::OutpostConnected`] while another agent is connected under the same name.
pub async fn connect(sprint: &Coordinator, hello: Hello) -> Result<(SessionHold, Vec<Reconcile>), ServiceError> {
    if hello.max_workers == 0 {
        let why = "an outpost offers at least one slot; set its number of workers to 1 or more";
        return Err(Refusal::new(Code::OutpostInvalid, why).field("max_workers").into());
    }
    let held = sprint.fleet.hold(&hello.outpost, &hello.instance).ok_or_else(|| {
        let why = format!(
            "another agent is connected as outpost \"{}\"; stop that one, or join with another name",
            hello.outpost
        );
        ServiceError::new(Code::OutpostConnected, why)
    })?;
    let reconciled = sprint.store.write(move |tx| Box::pin(take_in(tx, hello))).await;
    match reconciled {
        Ok(reconcile) => {
            sprint.fleet.hear(&held.outpost, sprint.store.time().elapsed());
            Ok((held, reconcile))
        }
        Err(error) => {
            sprint.fleet.release(&held);
            Err(error)
        }
    }
}

async fn take_in(tx: &mut Tx, hello: Hello) -> Result<Vec<Reconcile>, ServiceError> {
    let Hello { outpost: name, version, labels, max_workers, instance: _, draining, inventory } = hello;
    let actor = Actor::Outpost(name.clone());
    // Searched first: see Tx.
    let live = tx.live_workers(&name).await?;
    let now = tx.now();
    let Some(mut outpost) = tx.get(&name).await? else {
        return Err(ServiceError::new(Code::OutpostRemoved, format!("outpost \"{name}\" was removed meanwhile")));
    };
    outpost.labels = labels;
    outpost.max_workers = max_workers;
    outpost.version = version;
    outpost.last_seen = now;
    outpost.draining |= draining;
    outpost.settle(true);
    outpost.try_at_once(now);
    let data = json!({ "max_workers": max_workers, "workers": inventory.len() });
    tx.save(outpost, event(EventKind::OUTPOST_CONNECTED, &actor, &name, data));
    tx.notify(Notice::Scheduler);
    tx.notify(Notice::Outpost(name.clone()));

    let present = inventory.iter().map(|present| present.worker).collect::<BTreeSet<_>>();
    for worker in live {
        // One that the outpost has not taken yet is sent to it again.
        if worker.state.name() != WorkerStateName::Assigned && !present.contains(&worker.id) {
            let reason = "its outpost came back without it".to_owned();
            reports::lose(tx, worker, reason, &Actor::Supervisor).await?;
        }
    }
    let mut reconcile = Vec::new();
    for InventoryEntry { worker: id, job, finished } in inventory {
        let known = tx.get(&id).await?.filter(|worker| worker.outpost == name);
        if known.as_ref().is_some_and(|worker| worker.state.is_live()) {
            continue;
        }
        reconcile.push(if finished {
            Reconcile::Forget { worker: id }
        } else {
            let state = known.map_or("unknown to the coordinator", |worker| worker.state.name().as_str());
            Reconcile::Stop { worker: id, reason: format!("{job} is over: the worker is {state}") }
        });
    }
    Ok(reconcile)
}

/// Records that an outpost's session ended, unless a newer one took over.
pub async fn disconnect(sprint: &Coordinator, held: &SessionHold) {
    if !sprint.fleet.release(held) {
        return;
    }
    let name = held.outpost.clone();
    let recorded: Result<(), ServiceError> = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut outpost) = tx.get(&name).await? else { return Ok(()) };
                outpost.last_seen = tx.now();
                outpost.settle(false);
                let actor = Actor::Supervisor;
                tx.save(outpost, event(EventKind::OUTPOST_DISCONNECTED, &actor, &name, json!({})));
                tx.notify(Notice::Supervisor);
                Ok(())
            })
        })
        .await;
    if let Err(error) = recorded {
        tracing::warn!(outpost = %held.outpost, %error, "an outpost's leaving was not recorded");
    }
}

/// Notes what an outpost said of itself, and that it takes nothing new.
///
/// # Errors
/// What the store says.
pub async fn heartbeat(
    sprint: &Coordinator,
    name: &OutpostName,
    load: Option<Load>,
    draining: bool,
    paused: Option<String>,
) -> Result<(), ServiceError> {
    sprint.fleet.hear(name, sprint.store.time().elapsed());
    sprint.fleet.beat(name, sprint.now(), load);
    let paused = paused.map(|reason| cut(&reason, OUTPOST_WORD));
    let known = sprint.store.live().outpost_named(name);
    if known.as_ref().is_some_and(|outpost| outpost.paused != paused) {
        set_paused(sprint, name.clone(), paused).await?;
    }
    if draining && known.as_ref().is_some_and(|outpost| !outpost.draining) {
        outposts::set_draining(sprint, name.clone(), true, Actor::Outpost(name.clone())).await?;
    }
    Ok(())
}

/// Records that an outpost takes nothing new for the time being, or does again.
async fn set_paused(sprint: &Coordinator, name: OutpostName, paused: Option<String>) -> Result<(), ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut outpost) = tx.get(&name).await? else { return Ok(()) };
                let kind = if paused.is_some() { EventKind::OUTPOST_PAUSED } else { EventKind::OUTPOST_UNPAUSED };
                let event = event(kind, &Actor::Outpost(name.clone()), &name, json!({ "reason": paused }));
                outpost.paused = paused;
                tx.save(outpost, event);
                tx.notify(Notice::Scheduler);
                Ok(())
            })
        })
        .await
}

/// Records a session on an outpost's terminal server that is no worker's.
///
/// # Errors
/// What the store says.
pub async fn found(
    sprint: &Coordinator,
    name: OutpostName,
    session: String,
    saved_to: String,
) -> Result<(), ServiceError> {
    let [session, saved_to] = [session, saved_to].map(|word| cut(&word, OUTPOST_WORD));
    let data = json!({ "session": session, "saved_to": saved_to });
    let event = event(EventKind::OUTPOST_FOUND_SESSION, &Actor::Outpost(name.clone()), &name, data);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.record(event);
                Ok(())
            })
        })
        .await
}

/// At the coordinator's start no outpost is connected, whatever the record says.
///
/// # Errors
/// What the store says.
pub async fn all_offline(sprint: &Coordinator) -> Result<(), ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for mut outpost in tx.outposts().await? {
                    if outpost.state != OutpostState::Offline {
                        outpost.settle(false);
                        let name = outpost.name.clone();
                        let data = json!({ "why": "the coordinator started" });
                        let event = event(EventKind::OUTPOST_DISCONNECTED, &Actor::Supervisor, &name, data);
                        tx.save(outpost, event);
                    }
                }
                Ok(())
            })
        })
        .await
}
