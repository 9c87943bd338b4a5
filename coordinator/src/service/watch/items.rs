//! Waiting for items to reach a stage, or to need a person, without polling.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sprint_core::change::Change;
use sprint_core::explain::Reason;
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::item::{Item, StageName};
use sprint_core::protection::Protection;
use sprint_core::request::{ItemWait, WaitReport, WaitResult};

use crate::service::backlog::items;
use crate::service::{Coordinator, ServiceError};

/// Answers when every item is in the stage, when one cannot get there any more, when the time is over, or, where the
/// caller asked for that, when a change waits for approval.
///
/// # Errors
/// An item that is not there, what the store says, or that the coordinator stops.
pub async fn items(sprint: &Coordinator, wait: ItemWait) -> Result<WaitReport, ServiceError> {
    let ItemWait { items: ids, stage, limit, known_approvals } = wait;
    let is_news = |change: &Change| known_approvals.as_ref().is_some_and(|known| !known.contains(&change.id));
    tokio::select! {
        () = sprint.stop.cancelled() => Err(ServiceError::stopping()),
        report = until(sprint, &ids, stage, known_approvals.is_some(), is_news) => report,
        () = time_out(limit) => {
            let (items, _) = look(sprint, &ids, stage).await?;
            Ok(report(WaitResult::TimedOut, items, String::new()))
        }
    }
}

const fn report(result: WaitResult, items: Vec<Item>, reason: String) -> WaitReport {
    WaitReport { result, items, reason, approvals: vec![] }
}

async fn time_out(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

async fn until(
    sprint: &Coordinator,
    ids: &[ItemId],
    stage: StageName,
    tells: bool,
    is_news: impl Fn(&Change) -> bool,
) -> Result<WaitReport, ServiceError> {
    let mut events = sprint.store.notices().events();
    loop {
        events.borrow_and_update();
        let (items, dead_end) = look(sprint, ids, stage).await?;
        if let Some(reason) = dead_end {
            return Ok(report(WaitResult::Impossible, items, reason));
        }
        if items.iter().all(|item| item.stage.name() == stage) {
            return Ok(report(WaitResult::Reached, items, String::new()));
        }
        let waiting =
            if tells { awaiting(sprint, items.iter().filter(|item| item.stage.name() != stage)) } else { vec![] };
        if waiting.iter().any(|change| is_news(change)) {
            let reason = waiting.iter().map(|change| needed(change)).collect::<Vec<_>>().join("; ");
            let approvals = waiting.iter().map(|change| change.id).collect();
            return Ok(WaitReport { approvals, ..report(WaitResult::Approval, items, reason) });
        }
        if events.changed().await.is_err() {
            return Err(ServiceError::stopping());
        }
    }
}

/// The changes of these items that wait for approval.
fn awaiting<'a>(sprint: &Coordinator, items: impl Iterator<Item = &'a Item>) -> Vec<Arc<Change>> {
    let items: BTreeMap<_, BTreeSet<_>> = items.fold(BTreeMap::default(), |mut all, item| {
        all.entry(&item.repo).or_insert_with(BTreeSet::new).insert(item.id);
        all
    });
    let of_repo = |(repo, items): (&RepoName, BTreeSet<ItemId>)| {
        let changes = sprint.store.live().queue(repo).changes.into_iter().map(|entry| entry.change);
        changes.filter(move |change| change.awaits_approval() && items.contains(&change.item))
    };
    items.into_iter().flat_map(of_repo).collect()
}

fn needed(change: &Change) -> String {
    let what = change.protection.as_ref().map(Protection::in_words).unwrap_or_default();
    format!("item {}: {}", change.item, Reason::AwaitsApproval { change: change.id, what })
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
