//! The pipeline: what follows for a container when its parts are over, and for parts when their container is.

use sprint_core::ids::ItemId;
use sprint_core::item::{ItemEvent, Stage};

use crate::service::{Actor, Coordinator, ServiceError, transition};

/// Settles every container and part that can be settled; safe to run at any time.
///
/// # Errors
/// What the store says.
pub async fn settle(sprint: &Coordinator) -> Result<(), ServiceError> {
    for feature in sprint.store.live().finished_features() {
        apply(sprint, feature.id, ItemEvent::ChildrenDone).await?;
    }
    for part in sprint.store.live().carried_by_done_convoys() {
        let Some(parent) = part.parent else { continue };
        let Some(convoy) = sprint.store.get(&parent).await? else { continue };
        if let Stage::Done { commit: Some(commit) } = convoy.stage {
            apply(sprint, part.id, ItemEvent::ConvoyDone { convoy: parent, commit }).await?;
        }
    }
    Ok(())
}

async fn apply(sprint: &Coordinator, id: ItemId, event: ItemEvent) -> Result<(), ServiceError> {
    let applied = sprint
        .store
        .write(move |tx| Box::pin(async move { transition::apply(tx, id, event, &Actor::Pipeline).await.map(|_| ()) }))
        .await;
    match applied {
        // It has moved between the read and the decision; the next pass reads it again.
        Err(ServiceError::Refused(_)) => Ok(()),
        other => other,
    }
}
