//! Changes, as people see and steer them.

use std::collections::HashMap;

use serde_json::{Value, json};

use sprint_core::change::{Change, ChangeEvent};
use sprint_core::event::{Event, EventKind, NewEvent};
use sprint_core::explain::{ChangeSurroundings, Explanation, explain_change};
use sprint_core::ids::{ChangeId, RepoName};
use sprint_core::item::{ItemEvent, Stage};
use sprint_core::merge_queue::Standing;
use sprint_core::schedule::place;
use sprint_core::trial::{Purpose, Trial, TrialState};
use sprint_core::view::GateRecord;

use super::merge::standing;
use super::schedule::{Board, gate_request};
use super::{Actor, ServiceError, Sprint, transition};
use crate::store::{ChangeFilter, Notice, Tx};

/// So many trials tell how gates do.
const GATE_HISTORY: u32 = 500;

/// # Errors
/// [`ServiceError::NotFound`].
pub async fn get(sprint: &Sprint, id: ChangeId) -> Result<Change, ServiceError> {
    sprint.store.change(id).await?.ok_or_else(|| ServiceError::no_change(id))
}

/// # Errors
/// What the store says.
pub async fn list(sprint: &Sprint, filter: &ChangeFilter) -> Result<Vec<Change>, ServiceError> {
    Ok(sprint.store.changes(filter).await?)
}

/// How a change stands in its queue, if it is there.
pub fn standings(sprint: &Sprint, changes: &[Change]) -> HashMap<ChangeId, Standing> {
    standing::of(sprint, changes)
}

/// Says what a change waits for.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn explain(sprint: &Sprint, id: ChangeId) -> Result<Explanation, ServiceError> {
    let change = get(sprint, id).await?;
    let mut around = ChangeSurroundings::default();
    if change.state.is_pending() {
        let repo = sprint.store.repo(&change.repo).await?;
        around.frozen = repo.as_ref().and_then(|repo| repo.frozen.clone());
        around.halted = repo.and_then(|repo| repo.halted);
        around.trouble = sprint.trouble(&change.repo);
        around.standing = standing::of(sprint, std::slice::from_ref(&change)).remove(&id);
        let trials = sprint.store.directory().trials(&change.repo);
        if change.direct.is_some() {
            around.trial = trials.iter().rfind(|trial| trial.holds(id)).cloned();
        } else {
            around.trial = match around.standing.as_ref().and_then(|standing| standing.trial) {
                Some(trial) => sprint.store.trial(trial).await?,
                None => None,
            };
            let queue = sprint.store.merge_queue(&change.repo).await?.into_iter();
            around.direct = queue.map(|entry| entry.change).find(|other| other.direct.is_some()).map(|other| other.id);
        }
        let tips = trials.into_iter();
        let mut tips = tips.filter(|trial| trial.purpose == Purpose::Tip);
        around.red_tip = tips.find_map(|trial| match trial.state {
            TrialState::Failed { reason, .. } => Some((trial.candidate.commit, reason)),
            TrialState::Gating
            | TrialState::Passed
            | TrialState::Suspect { .. }
            | TrialState::Unmergeable { .. }
            | TrialState::Cancelled { .. } => None,
        });
        if let Some(trial) = &around.trial
            && let Some(run) = trial.startable().next()
        {
            let board = Board::load(sprint).await?;
            around.unplaced = place(&gate_request(trial, run), &board.outposts, &board.limits).err();
        }
    }
    Ok(explain_change(&change, &around))
}

/// Puts a new change into the queue.
pub(super) fn queue(tx: &mut Tx, change: &Change, by: &Actor) {
    let Change { id, attempt, head, source, direct, .. } = change;
    let data = json!({ "change": id, "attempt": attempt, "head": head, "source": source, "direct": direct });
    let record = NewEvent {
        kind: EventKind::ChangeQueued,
        repo: Some(change.repo.clone()),
        item: Some(change.item),
        actor: by.clone(),
        data,
    };
    tx.save_change(change.clone(), record);
    tx.notify(Notice::Merger);
}

/// Puts a failed or conflicted change back into the queue. Its item must not have a newer attempt under way.
///
/// # Errors
/// [`ServiceError::Precondition`] or [`ServiceError::Refused`] when the change or its item is past that.
pub async fn retry(sprint: &Sprint, id: ChangeId, by: Actor) -> Result<Change, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let change = tx.change(id).await?.ok_or_else(|| ServiceError::no_change(id))?;
                let item = tx.item(change.item).await?.ok_or_else(|| ServiceError::no_item(change.item))?;
                if !matches!(item.stage, Stage::Blocked { .. } | Stage::Ready) || item.attempt != change.attempt {
                    return Err(ServiceError::Precondition(format!(
                        "change {id} is of attempt {}, and item {} is {} with attempt {}; only the newest attempt of an item that waits or is blocked can go back into the queue",
                        change.attempt,
                        item.id,
                        item.stage.name(),
                        item.attempt
                    )));
                }
                let change = transition::change(tx, id, ChangeEvent::Retried, &by).await?;
                transition::item(tx, item.id, ItemEvent::Requeued { change: id }, &by).await?;
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
pub async fn discard(sprint: &Sprint, id: ChangeId, reason: String, by: Actor) -> Result<Change, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let event = ChangeEvent::Dropped { reason: reason.clone() };
                let change = transition::change(tx, id, event, &by).await?;
                let reason = format!("its change {id} was dropped: {reason}");
                transition::item(tx, change.item, ItemEvent::Blocked { reason }, &by).await?;
                Ok(change)
            })
        })
        .await
}

/// A repo's queue in its order, and the trials that can still matter.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn graph(sprint: &Sprint, repo: &RepoName) -> Result<(Vec<Change>, Vec<Trial>), ServiceError> {
    sprint.store.repo(repo).await?.ok_or_else(|| ServiceError::no_repo(repo))?;
    let queue = sprint.store.merge_queue(repo).await?;
    Ok((queue.into_iter().map(|entry| entry.change).collect(), sprint.store.directory().trials(repo)))
}

/// The events that led a change to where it is, in order: its own, and those of the trials that held it.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn why(sprint: &Sprint, id: ChangeId) -> Result<Vec<Event>, ServiceError> {
    let change = get(sprint, id).await?;
    let about = |event: &Event| {
        let names = |value: &Value| value.as_u64() == Some(id.get());
        event.data.get("change").is_some_and(names)
            || event.data.get("changes").and_then(Value::as_array).is_some_and(|changes| changes.iter().any(names))
    };
    let events = sprint.store.queue_events(&change.repo, change.created_at).await?;
    Ok(events.into_iter().filter(about).collect())
}

/// How the gates of a repo did of late.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn gates(sprint: &Sprint, repo: &RepoName) -> Result<Vec<GateRecord>, ServiceError> {
    sprint.store.repo(repo).await?.ok_or_else(|| ServiceError::no_repo(repo))?;
    Ok(GateRecord::of(&sprint.store.trials(repo, Some(GATE_HISTORY)).await?))
}
