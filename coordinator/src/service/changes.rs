//! Changes, as people see and steer them.

use sprint_core::change::{Change, ChangeEvent, ChangeState};
use sprint_core::explain::{ChangeSurroundings, Explanation, explain_change};
use sprint_core::ids::ChangeId;
use sprint_core::item::{ItemEvent, Priority, Stage};
use sprint_core::schedule::{Request, Work, place};
use sprint_core::worker::Role;

use super::schedule::Board;
use super::{Actor, ServiceError, Sprint, transition};
use crate::store::{ChangeFilter, Notice};

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

/// Says what a change waits for.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn explain(sprint: &Sprint, id: ChangeId) -> Result<Explanation, ServiceError> {
    let change = get(sprint, id).await?;
    let mut around = ChangeSurroundings::default();
    if change.state.is_pending() {
        let queue = sprint.store.merge_queue(&change.repo).await?;
        let working = |change: &&Change| !matches!(change.state, ChangeState::Queued);
        around.ahead = if working(&&change) {
            0
        } else {
            let position = queue.iter().position(|queued| queued.id == id).unwrap_or(0);
            position + queue.iter().skip(position).filter(working).count()
        };
        around.halted = sprint.store.repo(&change.repo).await?.and_then(|repo| repo.halted);
        around.trouble = sprint.trouble(&change.repo);
        let board = Board::load(sprint).await?;
        let request = Request {
            work: Work::Gate(id),
            repo: change.repo.clone(),
            role: Role::Gate,
            priority: Priority::Urgent,
            since: change.created_at,
            requires: std::collections::BTreeMap::new(),
        };
        around.unplaced = place(&request, &board.outposts, &board.limits).err();
    }
    Ok(explain_change(&change, &around))
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
