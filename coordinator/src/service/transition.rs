//! Applying an event to an entity: the state machine decides, the record keeps it, and
//! the effects are carried out in the same transaction.

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::change::{Change, ChangeEffect, ChangeEvent};
use sprint_core::event::{NewEvent, Recorded};
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::item::{Item, ItemEffect, ItemEvent};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::time::Timestamp;
use sprint_core::trial::{Trial, TrialEffect, TrialEvent};
use sprint_core::worker::{Worker, WorkerEffect, WorkerEvent};

use crate::service::{Actor, ServiceError};
use crate::store::{Key, Notice, Stored, Tx};

type Done<'t> = BoxFuture<'t, Result<(), ServiceError>>;

/// An entity with a state machine.
pub(crate) trait Machine: Stored {
    type Event: Recorded + Send;
    type Effect: Send;

    /// The event taken, and what it demands.
    fn step(&mut self, event: Self::Event, now: Timestamp) -> Result<Vec<Self::Effect>, Refused>;

    /// The repo and the item that its events are about.
    fn subject(&self) -> (RepoName, Option<ItemId>);

    /// What its events say of it, as it is afterwards.
    fn describe(&self, data: &mut Map<String, Value>);

    /// Carries an effect out, in the transaction that demanded it.
    fn carry_out<'t>(&'t self, effect: Self::Effect, tx: &'t mut Tx, actor: &'t Actor) -> Done<'t>;

    /// There is none with this key.
    fn missing(key: &Self::Key) -> Refusal;
}

/// There is no entity with this key.
pub(crate) fn missing<K>(key: &K) -> ServiceError
where
    K: Key,
    K::Entity: Machine,
{
    K::Entity::missing(key).into()
}

/// Applies an event to the entity with a key, and carries out what follows.
pub(crate) fn apply<'t, K>(
    tx: &'t mut Tx,
    key: K,
    event: <K::Entity as Machine>::Event,
    actor: &'t Actor,
) -> BoxFuture<'t, Result<K::Entity, ServiceError>>
where
    K: Key,
    K::Entity: Machine,
{
    Box::pin(async move {
        let entity = tx.get(&key).await?.ok_or_else(|| missing(&key))?;
        apply_to(tx, entity, event, actor).await
    })
}

/// As [`apply`], to an entity whose other fields the caller has set already.
pub(crate) fn apply_to<'t, M: Machine>(
    tx: &'t mut Tx,
    mut entity: M,
    event: M::Event,
    actor: &'t Actor,
) -> BoxFuture<'t, Result<M, ServiceError>> {
    Box::pin(async move {
        let (kind, mut data) = (event.kind(), event.data());
        let effects = entity.step(event, tx.now())?;
        let (repo, item) = entity.subject();
        if let Value::Object(fields) = &mut data {
            entity.describe(fields);
        }
        tx.save(entity.clone(), NewEvent { kind, repo: Some(repo), item, actor: actor.clone(), data });
        for effect in effects {
            entity.carry_out(effect, tx, actor).await?;
        }
        Ok(entity)
    })
}

/// An effect that wakes loops and does nothing else.
fn notify<'t>(tx: &mut Tx, notices: impl IntoIterator<Item = Notice>) -> Done<'t> {
    for notice in notices {
        tx.notify(notice);
    }
    Box::pin(std::future::ready(Ok(())))
}

impl Machine for Item {
    type Event = ItemEvent;
    type Effect = ItemEffect;

    fn step(&mut self, event: ItemEvent, now: Timestamp) -> Result<Vec<ItemEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), Some(self.id))
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        data.insert("stage".to_owned(), json!(self.stage.name()));
    }

    fn carry_out<'t>(&'t self, effect: ItemEffect, tx: &'t mut Tx, actor: &'t Actor) -> Done<'t> {
        let reason = || format!("item {} was cancelled", self.id);
        match effect {
            ItemEffect::Schedule => notify(tx, [Notice::Scheduler]),
            ItemEffect::StopWorker { worker } => {
                let stop = apply(tx, worker, WorkerEvent::StopRequested { reason: reason() }, actor);
                Box::pin(async move { stop.await.map(|_| ()) })
            }
            ItemEffect::DropChange { change } => {
                let drop = apply(tx, change, ChangeEvent::Dropped { reason: reason() }, actor);
                Box::pin(async move { drop.await.map(|_| ()) })
            }
            ItemEffect::Settle => notify(tx, [Notice::Scheduler, Notice::Pipeline]),
        }
    }

    fn missing(key: &Self::Key) -> Refusal {
        Refusal::new(Code::ItemNotFound, format!("there is no item {key}")).next(Act::ListItems)
    }
}

impl Machine for Worker {
    type Event = WorkerEvent;
    type Effect = WorkerEffect;

    fn step(&mut self, event: WorkerEvent, now: Timestamp) -> Result<Vec<WorkerEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), self.job.item())
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        data.insert("worker".to_owned(), json!(self.id));
    }

    fn carry_out<'t>(&'t self, effect: WorkerEffect, tx: &'t mut Tx, _: &'t Actor) -> Done<'t> {
        match effect {
            WorkerEffect::Stop => notify(tx, [Notice::Outpost(self.outpost.clone())]),
            // More can be gated at a time, too.
            WorkerEffect::FreeSlot => notify(tx, [Notice::Scheduler, Notice::Merger]),
        }
    }

    fn missing(key: &Self::Key) -> Refusal {
        Refusal::new(Code::WorkerNotFound, format!("there is no worker {key}")).next(Act::ListWorkers)
    }
}

impl Machine for Change {
    type Event = ChangeEvent;
    type Effect = ChangeEffect;

    fn step(&mut self, event: ChangeEvent, now: Timestamp) -> Result<Vec<ChangeEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), Some(self.item))
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        data.insert("change".to_owned(), json!(self.id));
    }

    fn carry_out<'t>(&'t self, effect: ChangeEffect, tx: &'t mut Tx, _: &'t Actor) -> Done<'t> {
        match effect {
            ChangeEffect::Merge => notify(tx, [Notice::Merger]),
        }
    }

    fn missing(key: &Self::Key) -> Refusal {
        Refusal::new(Code::ChangeNotFound, format!("there is no change {key}")).next(Act::ListChanges)
    }
}

impl Machine for Trial {
    type Event = TrialEvent;
    type Effect = TrialEffect;

    fn step(&mut self, event: TrialEvent, now: Timestamp) -> Result<Vec<TrialEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), self.last().map(|member| member.item))
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        let changes = self.members.iter().map(|member| member.change).collect::<Vec<_>>();
        data.insert("trial".to_owned(), json!(self.id));
        data.insert("changes".to_owned(), json!(changes));
        data.insert("state".to_owned(), json!(self.state.name()));
        data.insert("commit".to_owned(), json!(self.candidate.commit));
        data.insert("tree".to_owned(), json!(self.candidate.tree));
    }

    fn carry_out<'t>(&'t self, effect: TrialEffect, tx: &'t mut Tx, actor: &'t Actor) -> Done<'t> {
        match effect {
            TrialEffect::Schedule => notify(tx, [Notice::Scheduler]),
            TrialEffect::Merge => notify(tx, [Notice::Merger]),
            TrialEffect::StopWorker { worker } => Box::pin(async move {
                let reason = format!("its gate of trial {} is not needed any more", self.id);
                // It may have ended by itself meanwhile.
                if tx.get(&worker).await?.is_some_and(|worker| worker.state.is_live()) {
                    apply(tx, worker, WorkerEvent::StopRequested { reason }, actor).await?;
                }
                Ok(())
            }),
        }
    }

    fn missing(key: &Self::Key) -> Refusal {
        Refusal::new(Code::TrialNotFound, format!("there is no trial {key}")).next(Act::ListChanges)
    }
}
