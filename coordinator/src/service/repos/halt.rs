//! Halting a repo's merge queue, and what is on record of a repo.

use serde_json::json;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::repo::Repo;

use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::Notice;

pub(crate) fn event(kind: EventKind, repo: &RepoName, actor: &Actor, data: serde_json::Value) -> NewEvent {
    NewEvent { kind, repo: Some(repo.clone()), item: None, actor: actor.clone(), data }
}

/// Why a merge queue is halted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    pub reason: String,
    /// The tip whose configuration cannot be read, if that is why: then the queue goes on by itself once it can.
    pub broken_config: Option<CommitId>,
}

/// Stops a repo's merge queue, or lets it go on.
///
/// # Errors
/// The repo does not exist.
pub async fn set_halted(
    sprint: &Coordinator,
    name: RepoName,
    halt: Option<Halt>,
    actor: Actor,
) -> Result<Repo, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                let (reason, broken_config) = halt.map(|halt| (halt.reason, halt.broken_config)).unzip();
                let broken_config = broken_config.flatten();
                if repo.halted == reason && repo.broken_config == broken_config {
                    return Ok(repo);
                }
                let kind = if reason.is_some() { EventKind::REPO_HALTED } else { EventKind::REPO_RESUMED };
                let record = event(kind, &name, &actor, json!({ "reason": reason }));
                repo.halted = reason;
                repo.broken_config = broken_config;
                tx.save(repo.clone(), record);
                tx.notify(Notice::Merger);
                Ok(repo)
            })
        })
        .await
}
