//! Entries of the merge queue.

use serde_json::json;
use sprint_core::change::Change;
use sprint_core::event::{EventKind, NewEvent};

use crate::service::Actor;
use crate::store::{Notice, Tx};

/// Puts a new change into the queue.
pub(crate) fn queue(tx: &mut Tx, change: &Change, by: &Actor) {
    let Change { id, attempt, head, source, direct, .. } = change;
    let data = json!({ "change": id, "attempt": attempt, "head": head, "source": source, "direct": direct });
    let record = NewEvent {
        kind: EventKind::CHANGE_QUEUED,
        repo: Some(change.repo.clone()),
        item: Some(change.item),
        actor: by.clone(),
        data,
    };
    tx.save(change.clone(), record);
    tx.notify(Notice::Merger);
}
