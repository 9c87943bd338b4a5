//! Outposts: joining, leaving, and what a person may do with them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{Attempt, ItemId, KeyId, OutpostName, WorkerId};
use sprint_core::outpost::{Load, Outpost, OutpostState};
use sprint_core::worker::{Worker, WorkerEvent, WorkerStateName};

use super::fleet::Held;
use super::{Actor, ServiceError, Sprint, reports, transition};
use crate::store::{Notice, Tx, WorkerFilter};

/// What an outpost says of itself when it connects.
#[derive(Debug, Clone)]
pub struct Hello {
    pub outpost: OutpostName,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub max_workers: u32,
    pub instance: String,
    pub draining: bool,
    pub inventory: Vec<Present>,
}

/// A worker that an outpost has something of on its disk.
#[derive(Debug, Clone, Copy)]
pub struct Present {
    pub worker: WorkerId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub finished: bool,
}

/// What an outpost must do so that it and the record agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconcile {
    /// End it: the record has no such live worker.
    Stop { worker: WorkerId, reason: String },
    /// Remove what is left of it: the record is complete.
    Forget { worker: WorkerId },
}

fn event(kind: EventKind, actor: &Actor, outpost: &OutpostName, mut data: serde_json::Value) -> NewEvent {
    data["outpost"] = json!(outpost);
    NewEvent { kind, repo: None, item: None, actor: actor.clone(), data }
}

/// Takes an outpost in: records it, and compares what it has with what it should have.
///
/// # Errors
/// [`ServiceError::Precondition`] while another agent is connected under the same name.
pub async fn connect(sprint: &Sprint, hello: Hello) -> Result<(Held, Vec<Reconcile>), ServiceError> {
    if hello.max_workers == 0 {
        return Err(ServiceError::invalid("an outpost offers at least one slot; set --max-workers to 1 or more"));
    }
    let held = sprint.fleet.hold(&hello.outpost, &hello.instance).ok_or_else(|| {
        ServiceError::Precondition(format!(
            "another agent is connected as outpost \"{}\"; stop that one, or join with another --name",
            hello.outpost
        ))
    })?;
    let reconciled = sprint.store.write(move |tx| Box::pin(take_in(tx, hello))).await;
    match reconciled {
        Ok(reconcile) => Ok((held, reconcile)),
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
    let Some(mut outpost) = tx.outpost(&name).await? else {
        return Err(ServiceError::Unauthenticated(format!("outpost \"{name}\" was removed meanwhile")));
    };
    outpost.labels = labels;
    outpost.max_workers = max_workers;
    outpost.version = version;
    outpost.last_seen = now;
    outpost.draining |= draining;
    outpost.settle(true);
    let data = json!({ "max_workers": max_workers, "workers": inventory.len() });
    tx.save_outpost(outpost, event(EventKind::OutpostConnected, &actor, &name, data));
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
    for Present { worker: id, item: _, attempt, finished } in inventory {
        let known = tx.worker(id).await?.filter(|worker| worker.outpost == name);
        if known.as_ref().is_some_and(|worker| worker.state.is_live()) {
            continue;
        }
        reconcile.push(if finished {
            Reconcile::Forget { worker: id }
        } else {
            let state = known.map_or("unknown to the coordinator", |worker| worker.state.name().as_str());
            Reconcile::Stop { worker: id, reason: format!("attempt {attempt} is over: the worker is {state}") }
        });
    }
    Ok(reconcile)
}

/// Records that an outpost's session ended, unless a newer one took over.
pub async fn disconnect(sprint: &Sprint, held: &Held) {
    if !sprint.fleet.release(held) {
        return;
    }
    let name = held.outpost.clone();
    let recorded: Result<(), ServiceError> = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut outpost) = tx.outpost(&name).await? else { return Ok(()) };
                outpost.last_seen = tx.now();
                outpost.settle(false);
                let actor = Actor::Supervisor;
                tx.save_outpost(outpost, event(EventKind::OutpostDisconnected, &actor, &name, json!({})));
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
    sprint: &Sprint,
    name: &OutpostName,
    load: Option<Load>,
    draining: bool,
) -> Result<(), ServiceError> {
    sprint.fleet.heard(name, super::now(), load);
    if draining && sprint.store.outpost(name).await?.is_some_and(|outpost| !outpost.draining) {
        set_draining(sprint, name.clone(), true, Actor::Outpost(name.clone())).await?;
    }
    Ok(())
}

/// All outposts, with the slots in use and what they last said of themselves.
///
/// # Errors
/// What the store says.
pub async fn list(sprint: &Sprint) -> Result<Vec<(Outpost, u32, Option<Load>)>, ServiceError> {
    let mut active = BTreeMap::<OutpostName, u32>::new();
    for (outpost, _, _, count) in sprint.store.slots_in_use().await? {
        *active.entry(outpost).or_default() += count;
    }
    let outposts = sprint.store.outposts().await?;
    Ok(outposts
        .into_iter()
        .map(|mut outpost| {
            let count = active.get(&outpost.name).copied().unwrap_or(0);
            let (seen, load) = sprint.fleet.heartbeat(&outpost.name).unwrap_or((outpost.last_seen, None));
            // A heartbeat is no change of the record, and is not stored.
            outpost.last_seen = outpost.last_seen.max(seen);
            (outpost, count, load)
        })
        .collect())
}

/// Gives an outpost nothing new, or lets it have work again.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn set_draining(
    sprint: &Sprint,
    name: OutpostName,
    draining: bool,
    actor: Actor,
) -> Result<Outpost, ServiceError> {
    let connected = sprint.fleet.is_live(&name);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut outpost = tx.outpost(&name).await?.ok_or_else(|| ServiceError::no_outpost(&name))?;
                if outpost.draining == draining {
                    return Ok(outpost);
                }
                outpost.draining = draining;
                outpost.settle(connected);
                let kind = if draining { EventKind::OutpostDraining } else { EventKind::OutpostResumed };
                tx.save_outpost(outpost.clone(), event(kind, &actor, &name, json!({})));
                tx.notify(Notice::Scheduler);
                Ok(outpost)
            })
        })
        .await
}

/// Forgets an outpost: its certificate counts for nothing from the commit on. By force also one that is connected or holds workers, which are lost with it.
///
/// # Errors
/// [`ServiceError::Precondition`] when force would be needed.
pub async fn remove(sprint: &Sprint, name: OutpostName, force: bool, by: Actor) -> Result<Outpost, ServiceError> {
    if sprint.fleet.is_live(&name) && !force {
        return Err(ServiceError::Precondition(format!(
            "outpost \"{name}\" is connected; stop its agent first, or add --force"
        )));
    }
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let live = tx.live_workers(&name).await?;
                let outpost = tx.outpost(&name).await?.ok_or_else(|| ServiceError::no_outpost(&name))?;
                if !live.is_empty() && !force {
                    return Err(ServiceError::Precondition(format!(
                        "outpost \"{name}\" holds {} workers; let them end with: sprintctl outpost drain {name}, or add --force",
                        live.len()
                    )));
                }
                // Its session looks whether it still belongs here.
                tx.notify(Notice::Outpost(name.clone()));
                tx.remove_outpost(name.clone(), event(EventKind::OutpostRemoved, &by, &name, json!({})));
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
pub fn is_member(sprint: &Sprint, name: &OutpostName, key: &KeyId) -> bool {
    sprint.store.directory().outpost(key).as_ref() == Some(name)
}

/// At the coordinator's start nobody is connected, whatever the record says.
///
/// # Errors
/// What the store says.
pub async fn all_offline(sprint: &Sprint) -> Result<(), ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for mut outpost in tx.outposts().await? {
                    if outpost.state != OutpostState::Offline {
                        outpost.settle(false);
                        let name = outpost.name.clone();
                        let data = json!({ "why": "the coordinator started" });
                        let event = event(EventKind::OutpostDisconnected, &Actor::Supervisor, &name, data);
                        tx.save_outpost(outpost, event);
                    }
                }
                Ok(())
            })
        })
        .await
}

/// Takes the leases of outposts that were away for longer than their grace.
///
/// # Errors
/// What the store says.
pub async fn expire(sprint: &Sprint) -> Result<(), ServiceError> {
    let now = super::now();
    for outpost in sprint.store.outposts().await? {
        if sprint.fleet.is_live(&outpost.name) {
            continue;
        }
        let away = now.since(outpost.last_seen.max(sprint.started_at));
        if away < sprint.settings.disconnect_grace {
            continue;
        }
        let filter = WorkerFilter { outpost: Some(outpost.name.clone()), live: true, ..WorkerFilter::default() };
        for worker in sprint.store.workers(&filter).await? {
            let reason = format!(
                "its outpost \"{}\" was away for {}",
                outpost.name,
                humantime::format_duration(std::time::Duration::from_secs(away.as_secs()))
            );
            lose(sprint, worker, reason).await?;
        }
    }
    Ok(())
}

/// Takes a worker for lost, if it is still live.
///
/// # Errors
/// What the store says.
pub async fn lose(sprint: &Sprint, worker: Worker, reason: String) -> Result<(), ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                match tx.worker(worker.id).await? {
                    Some(worker) if worker.state.is_live() => {
                        reports::lose(tx, worker, reason, &Actor::Supervisor).await
                    }
                    Some(_) | None => Ok(()),
                }
            })
        })
        .await
}

/// Asks for a worker's end.
///
/// # Errors
/// [`ServiceError::NotFound`], or [`ServiceError::Refused`] when it has ended.
pub async fn stop_worker(sprint: &Sprint, id: WorkerId, reason: String, by: Actor) -> Result<Worker, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move { transition::worker(tx, id, WorkerEvent::StopRequested { reason }, &by).await })
        })
        .await
}
