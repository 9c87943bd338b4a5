//! The merge queue: gates candidates and lands them, one at a time for each repo.
//!
//! Each step reads the record and git, does one thing, and records it. A landing is
//! intent, compare-and-swap, record, upstream push, and can be resumed after each.

use serde_json::json;
use sprint_core::address::RepoAddress;
use sprint_core::change::{Candidate, Change, ChangeEvent, ChangeState};
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::gates::{CONFIG_FILE, Gate, parse_config};
use sprint_core::ids::{CommitId, RepoName, candidate_ref};
use sprint_core::item::{Item, ItemEvent};
use sprint_core::repo::Repo;

use super::{Actor, ServiceError, Sprint, transition};
use crate::git::{CompareAndSwap, GitRepo, Merged, Pushed};

/// What a step of a repo's merge queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Progress,
    /// Nothing can be done before something else happens.
    Idle,
}

/// The gates in force at a commit: those of its `sprint.toml`, else the repo's own.
///
/// # Errors
/// A file that cannot be understood is an error, not "no gates".
pub fn gates_at(git: &GitRepo, repo: &Repo, commit: &CommitId) -> Result<Vec<Gate>, ServiceError> {
    let Some(file) = git.read_file(commit, CONFIG_FILE)? else { return Ok(repo.gates.clone()) };
    let text = String::from_utf8(file)
        .map_err(|_| ServiceError::Precondition(format!("{CONFIG_FILE} on {} is not UTF-8", repo.branch)))?;
    let gates = parse_config(&text)
        .map_err(|error| ServiceError::Precondition(format!("on branch {}: {error}", repo.branch)))?;
    Ok(if gates.is_empty() { repo.gates.clone() } else { gates })
}

/// Works a repo's queue until nothing can be done, then brings the upstream up to date.
/// What stood in the way is kept for explanations until it works again.
pub async fn drive(sprint: &Sprint, name: &RepoName) {
    let worked = async {
        while step(sprint, name).await? == Step::Progress {}
        push(sprint, name).await
    };
    let trouble = worked.await.err().map(|error| error.to_string());
    if let Some(error) = &trouble {
        tracing::error!(repo = %name, %error, "the merge queue failed; it is tried again");
    }
    sprint.set_trouble(name, trouble);
}

/// The repos that have changes in their queue.
///
/// # Errors
/// What the store says.
pub async fn busy(sprint: &Sprint) -> Result<Vec<RepoName>, ServiceError> {
    Ok(sprint.store.repos_with_pending_changes().await?)
}

/// Does the next thing for a repo's queue.
///
/// # Errors
/// What the store or git says.
pub async fn step(sprint: &Sprint, name: &RepoName) -> Result<Step, ServiceError> {
    let Some(repo) = sprint.store.repo(name).await? else { return Ok(Step::Idle) };
    let git = sprint.git.get(name)?;
    let Some(head) = sprint.store.merge_head(name).await? else { return Ok(Step::Idle) };
    // An intent on record is settled whatever else holds the queue.
    if matches!(head.state, ChangeState::Landing { .. }) {
        return land(sprint, &git, &repo, &head).await;
    }
    if repo.halted.is_some() {
        return Ok(Step::Idle);
    }
    let tip = git.tip(&repo.branch)?;
    if let Some(candidate) = head.candidate() {
        if candidate.base == tip {
            return Ok(Step::Idle);
        }
        record(sprint, &head, ChangeEvent::TipMoved).await?;
        return Ok(Step::Progress);
    }
    prepare(sprint, &git, &repo, &head, tip).await
}

async fn record(sprint: &Sprint, change: &Change, event: ChangeEvent) -> Result<(), ServiceError> {
    let id = change.id;
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move { transition::change(tx, id, event, &Actor::MergeQueue).await.map(|_| ()) })
        })
        .await
}

/// Takes a change out of the queue and gives its item back with the reason.
async fn reject(sprint: &Sprint, change: &Change, event: ChangeEvent, reason: String) -> Result<Step, ServiceError> {
    let (id, item, repo) = (change.id, change.item, change.repo.clone());
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let max_attempts =
                    tx.repo(&repo).await?.map_or(sprint_core::repo::DEFAULT_MAX_ATTEMPTS, |repo| repo.max_attempts);
                transition::change(tx, id, event, &Actor::MergeQueue).await?;
                let rejected = ItemEvent::Rejected { change: id, reason, detail: String::new(), max_attempts };
                transition::item(tx, item, rejected, &Actor::MergeQueue).await?;
                Ok(Step::Progress)
            })
        })
        .await
}

/// Builds the next change's candidate on the tip.
async fn prepare(
    sprint: &Sprint,
    git: &GitRepo,
    repo: &Repo,
    change: &Change,
    tip: CommitId,
) -> Result<Step, ServiceError> {
    if let Some(url) = &repo.url
        && let Some(step) = follow_upstream(sprint, git, repo, url, &tip).await?
    {
        return Ok(step);
    }
    let gates = match gates_at(git, repo, &tip) {
        Ok(gates) => gates,
        Err(ServiceError::Precondition(reason)) => {
            halt(sprint, &repo.name, reason).await?;
            return Ok(Step::Idle);
        }
        Err(error) => return Err(error),
    };
    if !git.holds(&change.head)? {
        let reason = format!("its commit {} is not in the coordinator's repository", change.head.short());
        return reject(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason).await;
    }
    let candidate = match git.merge(&tip, &change.head).await? {
        Merged::Conflict { paths } => {
            let reason = format!(
                "its branch conflicts with {} in {}; start from the present {} and bring the change again",
                repo.branch,
                paths.join(", "),
                repo.branch
            );
            return reject(sprint, change, ChangeEvent::Conflicted { paths }, reason).await;
        }
        // Looked at only when nothing would change, since it walks the history.
        Merged::Clean { tree } if tree == git.tree_of(&tip)? && git.reaches(&tip, &change.head)? => {
            // Its commits are on the branch already: nothing moves.
            Candidate { commit: tip.clone(), tree, base: tip, gates: vec![] }
        }
        Merged::Clean { tree } => {
            let Some(item) = sprint.store.item(change.item).await? else {
                return Err(ServiceError::no_item(change.item));
            };
            let commit = git.commit_merge(&tree, [&tip, &change.head], &message(&item, change))?;
            Candidate { commit, tree, base: tip, gates }
        }
    };
    if candidate.gates.is_empty() {
        record(sprint, change, ChangeEvent::Ungated { candidate }).await?;
    } else {
        git.set_ref(&candidate_ref(change.id), &candidate.commit)?;
        record(sprint, change, ChangeEvent::Gated { candidate }).await?;
    }
    Ok(Step::Progress)
}

/// The message of a merge commit: its first line for people, its trailers for machines.
fn message(item: &Item, change: &Change) -> String {
    let title = item.title.lines().next().unwrap_or_default();
    format!(
        "Land item {}: {title}\n\nSprint-Item: {}\nSprint-Attempt: {}\nSprint-Change: {}\n",
        item.id, item.id, change.attempt, change.id
    )
}

/// Carries out a landing whose intent is on record, or finds out that it was.
async fn land(sprint: &Sprint, git: &GitRepo, repo: &Repo, change: &Change) -> Result<Step, ServiceError> {
    let Some(candidate) = change.candidate().cloned() else { return Ok(Step::Idle) };
    let why = format!("sprint: land change {}", change.id);
    let tip = git.tip(&repo.branch)?;
    // After a crash the branch itself says whether the swap was made, even if it has moved on since.
    if tip == candidate.base || !git.reaches(&tip, &candidate.commit)? {
        match git.compare_and_swap(&repo.branch, &candidate.base, &candidate.commit, &why)? {
            CompareAndSwap::Moved => {}
            CompareAndSwap::Stale => {
                record(sprint, change, ChangeEvent::TipMoved).await?;
                return Ok(Step::Progress);
            }
        }
    }
    let (id, item, ungated) = (change.id, change.item, candidate.gates.is_empty());
    let commit = candidate.commit.clone();
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                transition::change(tx, id, ChangeEvent::Landed, &Actor::MergeQueue).await?;
                transition::item(tx, item, ItemEvent::Landed { change: id, commit }, &Actor::MergeQueue).await?;
                Ok::<_, ServiceError>(())
            })
        })
        .await?;
    tracing::info!(repo = %repo.name, item = %item, change = %id, commit = %candidate.commit, "landed");
    if ungated {
        tracing::warn!(repo = %repo.name, change = %id, "landed without a gate: none is configured");
    } else {
        git.delete_ref(&candidate_ref(id))?;
    }
    Ok(Step::Progress)
}

/// Takes over what others brought to the upstream; none when there is nothing to take over.
async fn follow_upstream(
    sprint: &Sprint,
    git: &GitRepo,
    repo: &Repo,
    url: &RepoAddress,
    tip: &CommitId,
) -> Result<Option<Step>, ServiceError> {
    let upstream = git.fetch_upstream(url, &repo.branch).await?.tip;
    if git.reaches(tip, &upstream)? {
        return Ok(None);
    }
    if !git.reaches(&upstream, tip)? {
        halt(sprint, &repo.name, diverged(repo)).await?;
        return Ok(Some(Step::Idle));
    }
    match git.compare_and_swap(&repo.branch, tip, &upstream, "sprint: follow the upstream")? {
        CompareAndSwap::Moved => {
            let data = json!({ "from": tip, "to": upstream });
            event(sprint, EventKind::RepoSynced, &repo.name, data).await?;
        }
        CompareAndSwap::Stale => {}
    }
    Ok(Some(Step::Progress))
}

fn diverged(repo: &Repo) -> String {
    format!(
        "the upstream's {} holds commits that the coordinator's does not, and the other way round; merge both, push the result to the upstream",
        repo.branch
    )
}

/// Brings the upstream's branch to ours, if it is behind.
///
/// # Errors
/// What the upstream says; it is tried again later.
pub async fn push(sprint: &Sprint, name: &RepoName) -> Result<(), ServiceError> {
    let Some(repo) = sprint.store.repo(name).await? else { return Ok(()) };
    let Some(url) = &repo.url else { return Ok(()) };
    let git = sprint.git.get(name)?;
    let tip = git.tip(&repo.branch)?;
    if git.upstream_seen(&repo.branch)?.as_ref() == Some(&tip) || repo.halted.is_some() {
        return Ok(());
    }
    match git.push_upstream(url, &repo.branch, &tip).await? {
        Pushed::Done => event(sprint, EventKind::RepoPushed, name, json!({ "tip": tip })).await,
        Pushed::Diverged { stderr } => {
            tracing::warn!(repo = %name, %stderr, "the upstream refused a push");
            halt(sprint, name, diverged(&repo)).await
        }
    }
}

async fn event(sprint: &Sprint, kind: EventKind, repo: &RepoName, data: serde_json::Value) -> Result<(), ServiceError> {
    let event = NewEvent { kind, repo: Some(repo.clone()), item: None, actor: Actor::MergeQueue, data };
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
async fn halt(sprint: &Sprint, name: &RepoName, reason: String) -> Result<(), ServiceError> {
    tracing::error!(repo = %name, %reason, "the merge queue stands still");
    super::repos::set_halted(sprint, name.clone(), Some(reason), Actor::MergeQueue).await.map(|_| ())
}
