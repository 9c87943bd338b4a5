//! Waiting for items to reach a stage, without polling.

use std::time::Duration;

use sprint_core::ids::ItemId;
use sprint_core::item::{Item, StageName};
use sprint_core::request::{ItemWait, WaitReport, WaitResult};

use crate::service::backlog::items;
use crate::service::{Coordinator, ServiceError};

/// Answers when every item is in the stage, when one cannot get there any more, or when the time is over.
///
/// # Errors
/// An item that is not there, what the store says, or that the coordinator stops.
pub async fn items(sprint: &Coordinator, wait: ItemWait) -> Result<WaitReport, ServiceError> {
    let ItemWait { items: ids, stage, limit } = wait;
    tokio::select! {
        () = sprint.stop.cancelled() => Err(ServiceError::stopping()),
        report = until(sprint, &ids, stage) => report,
        () = time_out(limit) => {
            let (items, _) = look(sprint, &ids, stage).await?;
            Ok(WaitReport { result: WaitResult::TimedOut, items, reason: String::new() })
        }
    }
}

async fn time_out(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

async fn until(sprint: &Coordinator, ids: &[ItemId], stage: StageName) -> Result<WaitReport, ServiceError> {
    let mut events = sprint.store.notices().events();
    loop {
        events.borrow_and_update();
        let (items, dead_end) = look(sprint, ids, stage).await?;
        if let Some(reason) = dead_end {
            return Ok(WaitReport { result: WaitResult::Impossible, items, reason });
        }
        if items.iter().all(|item| item.stage.name() == stage) {
            return Ok(WaitReport { result: WaitResult::Reached, items, reason: String::new() });
        }
        if events.changed().await.is_err() {
            return Err(ServiceError::stopping());
        }
    }
}

/// The items as they are, and why one of them cannot reach the stage.
async fn look(
    sprint: &Coordinator,
    ids: &[ItemId],
    stage: StageName,
) -> Result<(Vec<Item>, Option<String>), ServiceError> {
    let mut items = Vec::with_capacity(ids.len());
    let mut dead_end = None;
    for id in ids {
        let item = items::get(sprint, *id).await?;
        if item.stage.name() != stage && dead_end.is_none() {
            dead_end = unreachable(sprint, &item, stage).await?;
        }
        items.push(item);
    }
    Ok((items, dead_end))
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
