//! A repo's upstream: what others brought there is taken over, what has landed here is brought there.
//!
//! A push is intent, push, record. After a crash the upstream itself says whether it has arrived.

use serde_json::{Value, json};
use sprint_core::address::RepoAddress;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::repo::{Repo, UpstreamPush};
use sprint_failpoint::{Point, pass};

use crate::git::{CompareAndSwap, GitRepo, Pushed};
use crate::service::repos::halt::set_halted;
use crate::service::{Actor, Coordinator, ServiceError};

/// The result of reading the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It holds nothing that our branch does not.
    Same,
    /// Our branch has moved to where the upstream's is.
    Moved,
    /// Each holds what the other does not.
    Diverged { upstream: CommitId },
}

/// What came of bringing the upstream up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    /// It is where ours is, or there is nothing to be done about it now.
    Settled,
    /// It was moved outside of the coordinator in the meantime.
    Refused,
}

/// Takes over what others brought to the upstream.
pub(crate) async fn follow(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    url: &RepoAddress,
    tip: &CommitId,
) -> Result<Followed, ServiceError> {
    let upstream = git.fetch_upstream(url, &repo.branch).await?.tip;
    if git.reaches(tip, &upstream)? {
        return Ok(Followed::Same);
    }
    if !git.reaches(&upstream, tip)? {
        return Ok(Followed::Diverged { upstream });
    }
    match git.compare_and_swap(&repo.branch, tip, &upstream, "sprint: follow the upstream")? {
        CompareAndSwap::Moved => {
            record(sprint, EventKind::REPO_SYNCED, &repo.name, json!({ "from": tip, "to": upstream })).await?;
        }
        CompareAndSwap::Stale => {}
    }
    Ok(Followed::Moved)
}

/// Brings the upstream's branch to ours, if it is behind. What came of it.
///
/// # Errors
/// What the upstream says; it is tried again later.
pub(crate) async fn push(sprint: &Coordinator, name: &RepoName) -> Result<Push, ServiceError> {
    let Some(repo) = sprint.store.get(name).await? else { return Ok(Push::Settled) };
    let Some(url) = &repo.url else { return Ok(Push::Settled) };
    let git = sprint.git.get(name)?;
    if let Some(UpstreamPush { from: _, to }) = &repo.pushing {
        let upstream = git.fetch_upstream(url, &repo.branch).await?.tip;
        let arrived = git.reaches(&upstream, to)?;
        let kind = if arrived { EventKind::REPO_PUSHED } else { EventKind::REPO_PUSH_LOST };
        set_pushing(sprint, name, None, kind, json!({ "tip": to, "found": upstream })).await?;
    }
    let (tip, from) = (git.tip(&repo.branch)?, git.upstream_seen(&repo.branch)?);
    if from.as_ref() == Some(&tip) || repo.halted.is_some() {
        return Ok(Push::Settled);
    }
    // It holds what ours does not: that is joined first.
    if let Some(seen) = &from
        && !git.reaches(&tip, seen)?
    {
        return Ok(Push::Settled);
    }
    let data = json!({ "from": from, "to": tip });
    let intent = UpstreamPush { from, to: tip.clone() };
    set_pushing(sprint, name, Some(intent), EventKind::REPO_PUSHING, data).await?;
    pass(Point::PushBefore);
    // An error leaves the intent: what became of the push is unknown.
    match git.push_upstream(url, &repo.branch, &tip).await? {
        Pushed::Done => {
            pass(Point::PushAfter);
            set_pushing(sprint, name, None, EventKind::REPO_PUSHED, json!({ "tip": tip })).await?;
            Ok(Push::Settled)
        }
        Pushed::Diverged { stderr } => {
            tracing::warn!(repo = %name, %stderr, "the upstream refused a push");
            set_pushing(sprint, name, None, EventKind::REPO_PUSH_LOST, json!({ "tip": tip })).await?;
            Ok(Push::Refused)
        }
    }
}

/// Records an intent, or what became of it.
async fn set_pushing(
    sprint: &Coordinator,
    name: &RepoName,
    pushing: Option<UpstreamPush>,
    kind: EventKind,
    data: Value,
) -> Result<(), ServiceError> {
    let (name, event) = (name.clone(), event(kind, name, data));
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                // A repo that was removed meanwhile has nothing to remember.
                if let Some(mut repo) = tx.get(&name).await? {
                    repo.pushing = pushing;
                    tx.save(repo, event);
                }
                Ok(())
            })
        })
        .await
}

fn event(kind: EventKind, repo: &RepoName, data: Value) -> NewEvent {
    NewEvent { kind, repo: Some(repo.clone()), item: None, actor: Actor::MergeQueue, data }
}

/// Records something of a repo that changes none of its settings.
pub(crate) async fn record(
    sprint: &Coordinator,
    kind: EventKind,
    repo: &RepoName,
    data: Value,
) -> Result<(), ServiceError> {
    let event = event(kind, repo, data);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.record(event);
                Ok(())
            })
        })
        .await
}

/// Stops a repo's queue until a person resumes it.
pub(crate) async fn halt(sprint: &Coordinator, name: &RepoName, reason: String) -> Result<(), ServiceError> {
    tracing::error!(repo = %name, %reason, "the merge queue stands still");
    set_halted(sprint, name.clone(), Some(reason), Actor::MergeQueue).await.map(|_| ())
}
