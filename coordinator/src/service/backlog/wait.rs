//! Waiting for items to reach a stage, without polling.

use sprint_core::ids::ItemId;
use sprint_core::item::{Item, StageName};

use crate::service::backlog::items;
use crate::service::{Coordinator, ServiceError};

/// How a wait ended.
#[derive(Debug, Clone)]
pub enum Waited {
    Reached {
        items: Vec<Item>,
    },
    /// An item cannot get there any more.
    Impossible {
        items: Vec<Item>,
        reason: String,
    },
}

/// Answers when every item stands in `stage`, or when one cannot get there any more.
///
/// # Errors
/// An item that is not there, or what the store says.
pub async fn until(sprint: &Coordinator, ids: &[ItemId], stage: StageName) -> Result<Waited, ServiceError> {
    let mut events = sprint.store.notices().events();
    loop {
        events.borrow_and_update();
        let mut items = Vec::with_capacity(ids.len());
        let mut dead_end = None;
        for id in ids {
            let item = items::get(sprint, *id).await?;
            if item.stage.name() != stage && dead_end.is_none() {
                dead_end = unreachable(sprint, &item, stage).await?;
            }
            items.push(item);
        }
        if let Some(reason) = dead_end {
            return Ok(Waited::Impossible { items, reason });
        }
        if items.iter().all(|item| item.stage.name() == stage) {
            return Ok(Waited::Reached { items });
        }
        if events.changed().await.is_err() {
            return Err(crate::store::StoreError::Closed.into());
        }
    }
}

async fn unreachable(sprint: &Coordinator, item: &Item, stage: StageName) -> Result<Option<String>, ServiceError> {
    let now = item.stage.name();
    match now {
        StageName::Done => Ok(Some(format!("item {} is done, and not {stage}", item.id))),
        // Waiting for the end of something that ended otherwise, or for a middle stage that a
        // person would have to bring it back to.
        StageName::Blocked | StageName::Cancelled => items::dead_end(sprint, item).await,
        StageName::Inbox | StageName::Planning | StageName::Ready if stage == StageName::Cancelled => Ok(None),
        StageName::Inbox | StageName::Planning | StageName::Ready => items::dead_end(sprint, item).await,
        StageName::InProgress | StageName::InReview | StageName::InTests | StageName::Merging | StageName::InDocs => {
            Ok(None)
        }
    }
}
