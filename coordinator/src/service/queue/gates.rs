//! Gates that a person runs: the same trials, on the same outposts, as the merge queue's; they land nothing.

use sprint_core::act::Act;
use sprint_core::change::Candidate;
use sprint_core::ids::TrialId;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::GateRunRequest;
use sprint_core::trial::{Trial, TrialEvent, TrialState};

use crate::service::queue::merge::build;
use crate::service::repos::config::config_at;
use crate::service::repos::revision;
use crate::service::{Actor, Coordinator, ServiceError, transition};

/// Begins a trial of a commit as it is.
///
/// # Errors
/// [`Code::RevisionNotFound`], [`Code::GateNotFound`], and [`Code::GateNone`] where there is no gate.
pub async fn begin(sprint: &Coordinator, wanted: GateRunRequest, by: Actor) -> Result<TrialId, ServiceError> {
    let GateRunRequest { repo, what, gates: names, again } = wanted;
    let (repo, git) = revision::repo_or_only(sprint, repo).await?;
    let commit = match &what {
        Some(what) => revision::resolve(&repo, &git, what).await?.commit,
        None => git.tip(&repo.branch)?,
    };
    let mut gates = config_at(&git, &repo, &commit)?.gates;
    let known = gates.iter().map(|gate| gate.name.clone()).collect::<Vec<_>>();
    if known.is_empty() {
        let why = format!("repo \"{}\" has no gates at {}; name some in its sprint.toml", repo.name, commit.short());
        return Err(Refusal::new(Code::GateNone, why).next(Act::SetRepoGates(repo.name)).into());
    }
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        let why = format!("there is no gate \"{unknown}\" at {}; the gates are: {known}", commit.short());
        return Err(Refusal::new(Code::GateNotFound, why).field("gates").into());
    }
    gates.retain(|gate| names.is_empty() || names.contains(&gate.name));
    let candidate = Candidate { tree: git.tree_of(&commit)?, base: commit.clone(), commit, gates, new_gates: vec![] };
    build::by_hand(sprint, &git, &repo.name, candidate, again, by).await
}

/// A trial as it is now.
///
/// # Errors
/// There is no such trial.
pub async fn get(sprint: &Coordinator, id: TrialId) -> Result<Trial, ServiceError> {
    sprint.store.get(&id).await?.ok_or_else(|| transition::missing(&id))
}

/// Cancels a trial whose caller is gone; one that is over stays as it is.
///
/// # Errors
/// What the store says.
pub async fn cancel(sprint: &Coordinator, id: TrialId, by: Actor) -> Result<(), ServiceError> {
    if !matches!(get(sprint, id).await?.state, TrialState::Gating) {
        return Ok(());
    }
    let event = TrialEvent::Cancelled { reason: "its caller disconnected".to_owned() };
    let ended = sprint
        .store
        .write(move |tx| Box::pin(async move { transition::apply(tx, id, event, &by).await.map(|_| ()) }))
        .await;
    match ended {
        // It ended by itself meanwhile.
        Err(ServiceError::Refused(_)) => Ok(()),
        ended => ended,
    }
}
