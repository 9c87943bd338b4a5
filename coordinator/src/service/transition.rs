//! Applying an event to an entity: the state machine decides, the record keeps it, and
//! the effects are carried out in the same transaction.

use std::fmt::Display;

use futures::future::BoxFuture;
use serde_json::{Map, Value};
use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::event::{NewEvent, Recorded};
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::refusal::{Noun as _, Refusal};
use sprint_core::time::Timestamp;

use crate::service::{Actor, ServiceError};
use crate::store::{Key, Notice, Stored, Tx};

/// An effect that is being carried out.
pub(crate) type Done<'t> = BoxFuture<'t, Result<(), ServiceError>>;

/// An entity with a state machine; the file of its use cases has the `impl`.
pub(crate) trait Machine: Stored {
    type Event: Recorded + Send;
    type Effect: Send;
    /// What a person can do to see those that there are.
    const LISTED_BY: Option<Act> = None;

    /// The event taken, and what it demands.
    fn step(&mut self, event: Self::Event, now: Timestamp) -> Result<Vec<Self::Effect>, Refused>;

    /// The repo and the item that its events are about.
    fn subject(&self) -> (RepoName, Option<ItemId>);

    /// What its events say of it, as it is afterwards.
    fn describe(&self, data: &mut Map<String, Value>);

    /// Carries an effect out, in the transaction that demanded it.
    fn carry_out<'t>(&'t self, effect: Self::Effect, tx: &'t mut Tx, actor: &'t Actor) -> Done<'t>;
}

/// There is no entity with this key.
pub(crate) fn missing<K>(key: &K) -> ServiceError
where
    K: Key + Display,
    K::Entity: Machine,
{
    let refusal = Refusal::new(K::Entity::NOT_FOUND, format!("there is no {} {key}", K::Entity::NAME));
    Refusal { next: K::Entity::LISTED_BY, ..refusal }.into()
}

/// Applies an event to the entity with a key, and carries out what follows.
pub(crate) fn apply<'t, K>(
    tx: &'t mut Tx,
    key: K,
    event: <K::Entity as Machine>::Event,
    actor: &'t Actor,
) -> BoxFuture<'t, Result<K::Entity, ServiceError>>
where
    K: Key + Display,
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
pub(crate) fn notify<'t>(tx: &mut Tx, notices: impl IntoIterator<Item = Notice>) -> Done<'t> {
    for notice in notices {
        tx.notify(notice);
    }
    Box::pin(std::future::ready(Ok(())))
}
