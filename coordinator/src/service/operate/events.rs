//! The record, read.

use sprint_core::event::Event;

use crate::service::{Coordinator, EventFilter, ServiceError};

/// Events that one look answers at most.
pub const PAGE: u32 = 500;

/// The next events that a filter asks for.
///
/// # Errors
/// What the store says.
pub async fn page(sprint: &Coordinator, filter: EventFilter) -> Result<Vec<Event>, ServiceError> {
    Ok(sprint.store.events(EventFilter { limit: filter.limit.min(PAGE), ..filter }).await?)
}
