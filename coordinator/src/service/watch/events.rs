use std::sync::Arc;

use sprint_core::event::Event;
use sprint_core::request::EventTail;

use super::stream::{Values, stream};
use crate::service::{Coordinator, EventFilter};

/// Batches on their way to a slow reader.
const BATCHES: usize = 4;

/// Events of one batch at most.
const BATCH: u32 = 500;

/// The events that match, in batches of the record's order.
pub fn events(sprint: &Arc<Coordinator>, tail: EventTail) -> Values<Vec<Event>> {
    let record = Arc::clone(sprint);
    let mut newest = sprint.notices().events();
    let EventTail { since, item, audit, limit, follow } = tail;
    // As of the call, not of the source's first look.
    let mut since = since.unwrap_or_else(|| *newest.borrow());
    stream(sprint, BATCHES, move |reader| async move {
        let mut left = limit.unwrap_or(u32::MAX);
        while left > 0 {
            newest.borrow_and_update();
            let filter = EventFilter { since, item, audit, limit: left.min(BATCH) };
            let batch = record.store.events(filter).await?;
            if let Some(last) = batch.last() {
                since = last.seq;
                left = left.saturating_sub(u32::try_from(batch.len()).unwrap_or(u32::MAX));
                reader.send(batch).await?;
            } else if follow {
                reader.next_commit(&mut newest).await?;
            } else {
                break;
            }
        }
        Ok(())
    })
}
