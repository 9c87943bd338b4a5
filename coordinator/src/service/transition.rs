//! Applying an event to an entity: the state machine decides, the record keeps it, and
//! the effects are carried out in the same transaction.

use futures::future::BoxFuture;
use serde_json::{Value, json};
use sprint_core::change::{Change, ChangeEffect, ChangeEvent};
use sprint_core::event::{NewEvent, Recorded};
use sprint_core::ids::{ChangeId, ItemId, TrialId, WorkerId};
use sprint_core::item::{Item, ItemEffect, ItemEvent};
use sprint_core::trial::{Trial, TrialEffect, TrialEvent};
use sprint_core::worker::{Worker, WorkerEffect, WorkerEvent};

use crate::service::{Actor, ServiceError};
use crate::store::{Notice, Tx};

/// The details of `event`, with the number of the entity it is about.
fn data_with(event: &impl Recorded, key: &str, id: u64) -> Value {
    let mut data = event.data();
    if let Value::Object(fields) = &mut data {
        fields.insert(key.to_owned(), json!(id));
    }
    data
}

/// Applies an event to an item and carries out what follows.
pub(crate) fn item<'t>(
    tx: &'t mut Tx,
    id: ItemId,
    event: ItemEvent,
    actor: &'t Actor,
) -> BoxFuture<'t, Result<Item, ServiceError>> {
    Box::pin(async move {
        let mut item = tx.get(&id).await?.ok_or_else(|| ServiceError::no_item(id))?;
        let mut record = NewEvent {
            kind: event.kind(),
            repo: Some(item.repo.clone()),
            item: Some(id),
            actor: actor.clone(),
            data: event.data(),
        };
        let effects = item.apply(event, tx.now())?;
        if let Value::Object(fields) = &mut record.data {
            fields.insert("stage".to_owned(), json!(item.stage.name()));
        }
        tx.save(item.clone(), record);
        for effect in effects {
            match effect {
                ItemEffect::Schedule => tx.notify(Notice::Scheduler),
                ItemEffect::StopWorker { worker: id } => {
                    let reason = format!("item {} was cancelled", item.id);
                    worker(tx, id, WorkerEvent::StopRequested { reason }, actor).await?;
                }
                ItemEffect::DropChange { change: id } => {
                    let reason = format!("item {} was cancelled", item.id);
                    change(tx, id, ChangeEvent::Dropped { reason }, actor).await?;
                }
                ItemEffect::Settle => {
                    tx.notify(Notice::Scheduler);
                    tx.notify(Notice::Pipeline);
                }
            }
        }
        Ok(item)
    })
}

/// Applies an event to a worker and carries out what follows.
pub(crate) fn worker<'t>(
    tx: &'t mut Tx,
    id: WorkerId,
    event: WorkerEvent,
    actor: &'t Actor,
) -> BoxFuture<'t, Result<Worker, ServiceError>> {
    Box::pin(async move {
        let worker = tx.get(&id).await?.ok_or_else(|| ServiceError::no_worker(id))?;
        loaded_worker(tx, worker, event, actor)
    })
}

/// As [`worker`], for one whose other fields the caller has set already.
pub(crate) fn loaded_worker(
    tx: &mut Tx,
    mut worker: Worker,
    event: WorkerEvent,
    actor: &Actor,
) -> Result<Worker, ServiceError> {
    let record = NewEvent {
        kind: event.kind(),
        repo: Some(worker.repo.clone()),
        item: worker.job.item(),
        actor: actor.clone(),
        data: data_with(&event, "worker", worker.id.get()),
    };
    let effects = worker.apply(event, tx.now())?;
    tx.save(worker.clone(), record);
    for effect in effects {
        match effect {
            WorkerEffect::Stop => tx.notify(Notice::Outpost(worker.outpost.clone())),
            WorkerEffect::FreeSlot => {
                tx.notify(Notice::Scheduler);
                // More can be gated at a time.
                tx.notify(Notice::Merger);
            }
        }
    }
    Ok(worker)
}

/// Applies an event to a change and carries out what follows.
pub(crate) fn change<'t>(
    tx: &'t mut Tx,
    id: ChangeId,
    event: ChangeEvent,
    actor: &'t Actor,
) -> BoxFuture<'t, Result<Change, ServiceError>> {
    Box::pin(async move {
        let mut change = tx.get(&id).await?.ok_or_else(|| ServiceError::no_change(id))?;
        let record = NewEvent {
            kind: event.kind(),
            repo: Some(change.repo.clone()),
            item: Some(change.item),
            actor: actor.clone(),
            data: data_with(&event, "change", id.get()),
        };
        let effects = change.apply(event, tx.now())?;
        tx.save(change.clone(), record);
        for effect in effects {
            match effect {
                ChangeEffect::Merge => tx.notify(Notice::Merger),
            }
        }
        Ok(change)
    })
}

/// Applies an event to a trial and carries out what follows.
pub(crate) async fn trial(tx: &mut Tx, id: TrialId, event: TrialEvent, actor: &Actor) -> Result<Trial, ServiceError> {
    let mut trial = tx.get(&id).await?.ok_or_else(|| ServiceError::no_trial(id))?;
    let mut record = NewEvent {
        kind: event.kind(),
        repo: Some(trial.repo.clone()),
        item: trial.last().map(|member| member.item),
        actor: actor.clone(),
        data: data_with(&event, "trial", id.get()),
    };
    let effects = trial.apply(event, tx.now())?;
    if let Value::Object(fields) = &mut record.data {
        let changes = trial.members.iter().map(|member| member.change).collect::<Vec<_>>();
        fields.insert("changes".to_owned(), json!(changes));
        fields.insert("state".to_owned(), json!(trial.state.name()));
        fields.insert("commit".to_owned(), json!(trial.candidate.commit));
        fields.insert("tree".to_owned(), json!(trial.candidate.tree));
    }
    tx.save(trial.clone(), record);
    for effect in effects {
        match effect {
            TrialEffect::Schedule => tx.notify(Notice::Scheduler),
            TrialEffect::Merge => tx.notify(Notice::Merger),
            TrialEffect::StopWorker { worker: id } => {
                let reason = format!("its gate of trial {} is not needed any more", trial.id);
                // It may have ended by itself meanwhile.
                if tx.get(&id).await?.is_some_and(|worker| worker.state.is_live()) {
                    worker(tx, id, WorkerEvent::StopRequested { reason }, actor).await?;
                }
            }
        }
    }
    Ok(trial)
}
