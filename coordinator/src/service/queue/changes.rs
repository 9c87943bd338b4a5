//! Changes, as people see and steer them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::bounds::{REASON, cut};
use sprint_core::change::{Change, ChangeEffect, ChangeEvent};
use sprint_core::event::Event;
use sprint_core::ids::{ChangeId, ItemId, RepoName};
use sprint_core::item::{ItemEvent, Stage};
use sprint_core::merge_queue::Standing;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::ChangeFilter;
use sprint_core::time::Timestamp;
use sprint_core::trial::Trial;
use sprint_core::view::GateRecord;

use crate::service::queue::merge::standing;
use crate::service::transition::{Done, Machine};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::{Notice, Page, RepoQueue, Tx};

impl Machine for Change {
    type Event = ChangeEvent;
    type Effect = ChangeEffect;
    const LISTED_BY: Option<Act> = Some(Act::ListChanges);

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
            ChangeEffect::Merge => transition::notify(tx, [Notice::Merger]),
        }
    }
}

/// # Errors
/// The change or the repo does not exist.
pub async fn get(sprint: &Coordinator, id: ChangeId) -> Result<Change, ServiceError> {
    sprint.store.get(&id).await?.ok_or_else(|| transition::missing(&id))
}

/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator, filter: &ChangeFilter) -> Result<Page<Change>, ServiceError> {
    Ok(sprint.store.changes_page(filter).await?)
}

/// How a change stands in its queue, if it is there.
pub fn standings(sprint: &Coordinator, changes: &[Change]) -> HashMap<ChangeId, Standing> {
    standing::of(sprint, changes)
}

/// Puts a failed or conflicted change back into the queue. Its item must not have a newer attempt under way.
///
/// # Errors
/// [`Code::ChangeSuperseded`] or [`ServiceError::Refused`] when the change or its item is past that.
pub async fn retry(sprint: &Coordinator, id: ChangeId, by: Actor) -> Result<Change, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let change = tx.get(&id).await?.ok_or_else(|| transition::missing(&id))?;
                let item = tx.get(&change.item).await?.ok_or_else(|| transition::missing(&change.item))?;
                if !matches!(item.stage, Stage::Blocked { .. } | Stage::Ready) || item.attempt != change.attempt {
                    let why = format!(
                        "change {id} is of attempt {}, and item {} is in stage {} with attempt {}; only the newest attempt of an item in stage ready or blocked can return to the queue",
                        change.attempt,
                        item.id,
                        item.stage.name(),
                        item.attempt
                    );
                    return Err(Refusal::new(Code::ChangeSuperseded, why).next(Act::ShowItem(item.id)).into());
                }
                let change = transition::apply(tx, id, ChangeEvent::Retried, &by).await?;
                transition::apply(tx, item.id, ItemEvent::Requeued { change: id }, &by).await?;
                tx.notify(Notice::Merger);
                Ok(change)
            })
        })
        .await
}

/// Takes a change out of the queue and blocks its item.
///
/// # Errors
/// [`ServiceError::Refused`] when it is not in the queue, or being landed.
pub async fn discard(sprint: &Coordinator, id: ChangeId, reason: String, by: Actor) -> Result<Change, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let event = ChangeEvent::Dropped { reason: reason.clone() };
                let change = transition::apply(tx, id, event, &by).await?;
                let reason = format!("its change {id} was dropped: {reason}");
                transition::apply(tx, change.item, ItemEvent::Blocked { reason }, &by).await?;
                Ok(change)
            })
        })
        .await
}

/// Lets a change land although it changes protected paths.
///
/// # Errors
/// [`ServiceError::Refused`] when it does not wait for that.
pub async fn approve(sprint: &Coordinator, id: ChangeId, reason: String, by: Actor) -> Result<Change, ServiceError> {
    let reason = cut(&reason, REASON);
    if reason.trim().is_empty() {
        return Err(Refusal::new(Code::RequestInvalid, "a reason is missing; say why the change may land")
            .field("reason")
            .into());
    }
    sprint
        .store
        .write(move |tx| {
            let reason = reason.clone();
            Box::pin(async move {
                let change = tx.get(&id).await?.ok_or_else(|| transition::missing(&id))?;
                if !change.awaits_approval() {
                    let why = format!("change {id} is {} and waits for no approval", change.state.name());
                    return Err(Refusal::new(Code::ChangeNotWaiting, why).into());
                }
                transition::apply(tx, id, ChangeEvent::Approved { by: by.to_string(), reason }, &by).await
            })
        })
        .await
}

/// A repo's queue in its order, and the trials that can still matter.
///
/// # Errors
/// The change or the repo does not exist.
pub async fn graph(sprint: &Coordinator, repo: &RepoName) -> Result<(Vec<Arc<Change>>, Vec<Arc<Trial>>), ServiceError> {
    sprint.store.get(repo).await?.ok_or_else(|| ServiceError::no_repo(repo))?;
    let RepoQueue { changes, trials } = sprint.store.live().queue(repo);
    Ok((changes.into_iter().map(|entry| entry.change).collect(), trials))
}

/// The events that led a change to where it is, in order: its own, and those of the trials that held it.
///
/// # Errors
/// The change or the repo does not exist.
pub async fn why(sprint: &Coordinator, id: ChangeId) -> Result<Vec<Event>, ServiceError> {
    let change = get(sprint, id).await?;
    let about = |event: &Event| {
        let names = |value: &Value| value.as_u64() == Some(id.get());
        event.data.get("change").is_some_and(names)
            || event.data.get("changes").and_then(Value::as_array).is_some_and(|changes| changes.iter().any(names))
    };
    let events = sprint.store.queue_events(&change.repo, change.created_at).await?;
    Ok(events.into_iter().filter(about).collect())
}

/// The recent results of a repo's gates.
///
/// # Errors
/// The change or the repo does not exist.
pub async fn gates(sprint: &Coordinator, repo: &RepoName) -> Result<Vec<GateRecord>, ServiceError> {
    sprint.store.get(repo).await?.ok_or_else(|| ServiceError::no_repo(repo))?;
    Ok(GateRecord::of(&sprint.store.trials(repo, Some(GateRecord::TRIALS)).await?))
}
