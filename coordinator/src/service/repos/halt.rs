//! Halting a repo's merge queue, and what is on record of a repo.

use serde_json::json;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::RepoName;
use sprint_core::repo::Repo;

use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::Notice;

pub(crate) fn event(kind: EventKind, repo: &RepoName, actor: &Actor, data: serde_json::Value) -> NewEvent {
    NewEvent { kind, repo: Some(repo.clone()), item: None, actor: actor.clone(), data }
}

/// Stops a repo's merge queue with a reason, or lets it go on.
///
/// # Errors
/// The repo does not exist.
pub async fn set_halted(
    sprint: &Coordinator,
    name: RepoName,
    reason: Option<String>,
    actor: Actor,
) -> Result<Repo, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                if repo.halted == reason {
                    return Ok(repo);
                }
                let kind = if reason.is_some() { EventKind::REPO_HALTED } else { EventKind::REPO_RESUMED };
                let record = event(kind, &name, &actor, json!({ "reason": reason }));
                repo.halted = reason;
                tx.save(repo.clone(), record);
                tx.notify(Notice::Merger);
                Ok(repo)
            })
        })
        .await
}
