//! What a step of the merge queue comes to, and the one way to move a trial on.

use sprint_core::ids::TrialId;
use sprint_core::trial::TrialEvent;

use crate::service::{Actor, Coordinator, ServiceError, transition};

/// What a step of a repo's merge queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something was done; there may be more.
    Made,
    /// Nothing can be done before something else happens.
    Idle,
}

pub(crate) async fn apply(sprint: &Coordinator, id: TrialId, event: TrialEvent) -> Result<(), ServiceError> {
    let applied = sprint
        .store
        .write(move |tx| {
            Box::pin(async move { transition::apply(tx, id, event, &Actor::MergeQueue).await.map(|_| ()) })
        })
        .await;
    match applied {
        // A report arrived since the state was read: the next pass decides again.
        Err(ServiceError::Refused(_)) => Ok(()),
        applied => applied,
    }
}
