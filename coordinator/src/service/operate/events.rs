//! The record, read.

use std::collections::BTreeMap;

use sprint_core::event::Event;
use sprint_core::ids::Seq;

use crate::service::{Coordinator, EventFilter, ServiceError};

/// Events that one look answers at most.
pub const PAGE: u32 = 500;

/// The state of the whole in numbers.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub last: Seq,
    pub database: &'static str,
    pub items: BTreeMap<String, u64>,
    pub workers: BTreeMap<String, u64>,
    pub changes: BTreeMap<String, u64>,
    pub outposts: BTreeMap<String, u64>,
}

/// The next events that a filter asks for.
///
/// # Errors
/// What the store says.
pub async fn page(sprint: &Coordinator, filter: EventFilter) -> Result<Vec<Event>, ServiceError> {
    Ok(sprint.store.events(EventFilter { limit: filter.limit.min(PAGE), ..filter }).await?)
}

/// Counts everything.
///
/// # Errors
/// What the store says.
pub async fn status(sprint: &Coordinator) -> Result<Status, ServiceError> {
    let [items, workers, changes] = sprint.store.counts().await?;
    let mut outposts = BTreeMap::new();
    for outpost in sprint.store.live().outposts() {
        *outposts.entry(outpost.state.to_string()).or_default() += 1;
    }
    let last = *sprint.store.notices().events().borrow();
    Ok(Status { last, database: sprint.store.kind(), items, workers, changes, outposts })
}
