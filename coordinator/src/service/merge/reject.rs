//! Changes that leave the queue without landing: their items get them back with the reason.

use sprint_core::change::{Candidate, Change, ChangeEvent, ChangeState, follows};
use sprint_core::ids::{ChangeId, CommitId};
use sprint_core::item::ItemEvent;
use sprint_core::repo::{DEFAULT_MAX_ATTEMPTS, Repo};
use sprint_core::trial::{Trial, TrialState};

use super::super::{Actor, ServiceError, Sprint, transition};
use super::queue::QueueState;
use super::{Step, land};
use crate::git::{GitRepo, Merged};
use crate::store::InQueue;

/// Deals with changes that cannot be gated at all: those that are not here, have landed already, or do not merge
/// with the tip.
pub(super) async fn unfit(
    sprint: &Sprint,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    changes: &[InQueue],
    state: &mut QueueState,
) -> Result<Option<Step>, ServiceError> {
    let mut found = None;
    for InQueue { change, .. } in changes {
        // Once is enough: later tips are looked at when the change is built on them.
        if state.fits.contains_key(&change.id) {
            continue;
        }
        if !git.holds(&change.head)? {
            let reason = format!("its commit {} is not in the coordinator's repository", change.head.short());
            send_back(sprint, change, ChangeEvent::Dropped { reason: reason.clone() }, reason, String::new()).await?;
            found = Some(Step::Progress);
            continue;
        }
        match git.merge(tip, &change.head).await? {
            Merged::Conflict { paths } => {
                conflicted(sprint, git, repo, tip, change, paths).await?;
                found = Some(Step::Progress);
            }
            // Looked at only when nothing would change, since it walks the history.
            Merged::Clean { tree } if tree == git.tree_of(tip)? && git.reaches(tip, &change.head)? => {
                let candidate = Candidate { commit: tip.clone(), tree, base: tip.clone(), gates: vec![] };
                land::intend(sprint, vec![change.id], candidate, None).await?;
                return Ok(Some(Step::Progress));
            }
            Merged::Clean { .. } => {
                state.fits.insert(change.id, tip.clone());
            }
        }
    }
    Ok(found)
}

/// Sends a change back because it does not merge with the tip, naming whose landed work is in its way.
pub(super) async fn conflicted(
    sprint: &Sprint,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
    paths: Vec<String>,
) -> Result<(), ServiceError> {
    if paths.is_empty() {
        let reason = format!(
            "its branch does not merge with {0}: the two have nothing in common, or git cannot say where they conflict; start from the present {0} and bring the change again",
            repo.branch
        );
        return send_back(sprint, change, ChangeEvent::Conflicted { paths }, reason, String::new()).await;
    }
    let others = others(sprint, git, repo, tip, change, &paths).await?;
    let theirs = if others.is_empty() { String::new() } else { format!(" (changed there by {})", others.join(", ")) };
    let reason = format!(
        "its branch conflicts with {} in {}{theirs}; start from the present {} and bring the change again",
        repo.branch,
        paths.join(", "),
        repo.branch
    );
    send_back(sprint, change, ChangeEvent::Conflicted { paths }, reason, String::new()).await
}

/// The items whose landed changes touched these paths since the change's branch began.
async fn others(
    sprint: &Sprint,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    change: &Change,
    paths: &[String],
) -> Result<Vec<String>, ServiceError> {
    let base = git.merge_base(tip, &change.head)?;
    let mut others = Vec::new();
    for landed in sprint.store.settled_changes(&repo.name, 100).await?.into_iter().rev() {
        let ChangeState::Landed { candidate } = &landed.state else { continue };
        if base.as_ref() == Some(&candidate.commit) || others.len() >= 5 {
            break;
        }
        let touched = git.changed_paths(git.merge_base(&candidate.base, &landed.head)?.as_ref(), &landed.head)?;
        if paths.iter().any(|path| touched.contains(path)) {
            others.push(format!("item {}", landed.item));
        }
    }
    Ok(others)
}

/// Sends a change back that failed in a trial.
pub(super) async fn failed(sprint: &Sprint, change: &Change, trial: &Trial) -> Result<(), ServiceError> {
    let with = trial.members.iter().filter(|member| member.change != change.id);
    let with = with.map(|member| format!("change {} (item {})", member.change, member.item)).collect::<Vec<_>>();
    let (reason, detail) = match &trial.state {
        TrialState::Failed { reason, detail } => (reason.clone(), detail.clone()),
        TrialState::Unmergeable { paths } if paths.is_empty() => ("it does not merge".to_owned(), String::new()),
        TrialState::Unmergeable { paths } => {
            (format!("it does not merge: conflicts in {}", paths.join(", ")), String::new())
        }
        TrialState::Gating | TrialState::Passed | TrialState::Suspect { .. } | TrialState::Cancelled { .. } => {
            (format!("trial {} failed", trial.id), String::new())
        }
    };
    let reason =
        if with.is_empty() { reason } else { format!("{reason}; without this change, {} passes", with.join(", ")) };
    let event = ChangeEvent::GatesFailed { reason: reason.clone(), trial: trial.id };
    send_back(sprint, change, event, reason, detail).await
}

/// Sends a change back whose branch contains one that was sent back.
pub(super) async fn follows_out(sprint: &Sprint, change: &Change, parent: ChangeId) -> Result<(), ServiceError> {
    send_back(sprint, change, ChangeEvent::ParentFailed { parent }, follows(parent), String::new()).await
}

/// Takes a change out of the queue and gives its item back with the reason.
async fn send_back(
    sprint: &Sprint,
    change: &Change,
    event: ChangeEvent,
    reason: String,
    detail: String,
) -> Result<(), ServiceError> {
    let (id, item, repo) = (change.id, change.item, change.repo.clone());
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let max_attempts = tx.repo(&repo).await?.map_or(DEFAULT_MAX_ATTEMPTS, |repo| repo.max_attempts);
                transition::change(tx, id, event, &Actor::MergeQueue).await?;
                let rejected = ItemEvent::Rejected { change: id, reason, detail, max_attempts };
                transition::item(tx, item, rejected, &Actor::MergeQueue).await?;
                Ok(())
            })
        })
        .await
}
