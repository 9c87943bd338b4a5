//! Landings: intent, compare-and-swap, record.

use serde_json::json;
use sprint_core::change::{Candidate, Change, ChangeEvent};
use sprint_core::event::EventKind;
use sprint_core::ids::ChangeId;
use sprint_core::item::{Delivery, ItemEvent};
use sprint_core::merge_queue::snapshot::{Move, standing};
use sprint_core::merge_queue::{Fit, Landing};
use sprint_core::repo::Repo;
use sprint_core::trial::{Purpose, Trial, TrialEvent, TrialState};
use sprint_failpoint::{Point, pass};
use std::sync::Arc;

use crate::service::queue::merge::build::{self, Chain};
use crate::service::queue::merge::intent::intend_checked;
use crate::service::queue::merge::look::Look;
use crate::service::queue::merge::memory::QueueState;
use crate::service::queue::merge::progress::{Progress, apply};
use crate::service::repos::upstream;
use crate::service::{Actor, Coordinator, ServiceError, transition};

use crate::git::{CompareAndSwap, GitRepo};

/// Puts the intent to land a trial's changes on record, once more checked against git itself.
pub(crate) async fn begin(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    look: &Look,
    trial: &Trial,
    state: &QueueState,
) -> Result<(), ServiceError> {
    let Some((members, fit)) = standing(&look.queue(state), trial) else { return Ok(()) };
    let members = members.iter().filter_map(|id| look.member(*id)).collect::<Vec<_>>();
    let candidate = if look.tip == trial.candidate.base {
        trial.candidate.clone()
    } else {
        match build::chain(sprint, git, repo, look.config.merge.method, &look.tip, &members).await? {
            Chain::Whole { commit, tree } => {
                Candidate { commit, tree, base: look.tip.clone(), ..trial.candidate.clone() }
            }
            Chain::Broken { .. } => return apply(sprint, trial.id, TrialEvent::Retired).await,
        }
    };
    let relaxed = look.config.merge.landing == Landing::Relaxed && fit == Fit::Disjoint;
    // What lands is exactly what passed. A merge whose tree differs on the new tip is gated again.
    if candidate.tree != trial.candidate.tree && !relaxed {
        tracing::warn!(repo = %repo.name, trial = %trial.id, "its changes merge to another tree on the new tip; it is gated again");
        return apply(sprint, trial.id, TrialEvent::Retired).await;
    }
    intend_checked(sprint, git, repo, &look.tip, &members, candidate, Some(trial)).await
}

/// Carries out a landing whose intent is on record, or finds out that it was.
pub(crate) async fn settle(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    landing: &[Arc<Change>],
    state: &mut QueueState,
) -> Result<Progress, ServiceError> {
    let Some(candidate) = landing.first().and_then(|change| change.candidate()).cloned() else {
        return Ok(Progress::Idle);
    };
    let landing: Vec<&Arc<Change>> = landing.iter().filter(|change| change.candidate() == Some(&candidate)).collect();
    let ids: Vec<ChangeId> = landing.iter().map(|change| change.id).collect();
    let why = format!("sprint: land {}", names(&ids));
    let tip = git.tip(&repo.branch)?;
    // After a crash the branch itself says whether the swap was made, even if it has moved on since.
    if tip == candidate.base || !git.reaches(&tip, &candidate.commit)? {
        pass(Point::LandBefore);
        match git.compare_and_swap(&repo.branch, &candidate.base, &candidate.commit, &why)? {
            CompareAndSwap::Moved => pass(Point::LandAfter),
            CompareAndSwap::Stale => {
                record(sprint, landing.iter().map(|change| (change.id, ChangeEvent::TipMoved, None)).collect()).await?;
                return Ok(Progress::Made);
            }
        }
    }
    let delivery = if repo.url.is_some() { Delivery::Owed } else { Delivery::Complete };
    let landed = |change: &&Arc<Change>| {
        let item = ItemEvent::Landed { change: change.id, commit: candidate.commit.clone(), delivery };
        (change.id, ChangeEvent::Landed, Some((change.item, item)))
    };
    record(sprint, landing.iter().map(landed).collect()).await?;
    pass(Point::LandRecorded);
    tracing::info!(repo = %repo.name, changes = %names(&ids), commit = %candidate.commit, "landed");
    if candidate.base != candidate.commit {
        if candidate.all_gates().next().is_none() {
            tracing::warn!(repo = %repo.name, changes = %names(&ids), "landed without a gate: none is configured, or they were skipped");
        }
        let step = Move { from: candidate.base, to: candidate.commit, landed: Some(ids) };
        state.has_moved(step);
        state.tip_in_doubt = state.is_relaxed();
    }
    Ok(Progress::Made)
}

/// What becomes of a change, and with it of its item.
type Outcome = (ChangeId, ChangeEvent, Option<(sprint_core::ids::ItemId, ItemEvent)>);

async fn record(sprint: &Coordinator, outcomes: Vec<Outcome>) -> Result<(), ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for (change, event, item) in outcomes {
                    transition::apply(tx, change, event, &Actor::MergeQueue).await?;
                    if let Some((item, event)) = item {
                        transition::apply(tx, item, event, &Actor::MergeQueue).await?;
                    }
                }
                Ok(())
            })
        })
        .await
}

fn names(changes: &[ChangeId]) -> String {
    let noun = if changes.len() == 1 { "change" } else { "changes" };
    format!("{noun} {}", changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// Moves the branch to the union with the upstream's, once that has passed; halts the queue when it failed.
pub(crate) async fn joined(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    look: &Look,
    state: &mut QueueState,
) -> Result<Option<Progress>, ServiceError> {
    let join = look.trials.iter().find(|trial| trial.purpose == Purpose::Join && trial.candidate.base == look.tip);
    let Some(join) = join else { return Ok(None) };
    match &join.state {
        TrialState::Gating => return Ok(None),
        TrialState::Suspect { .. } => apply(sprint, join.id, TrialEvent::Confirming).await?,
        TrialState::Passed => {
            let (from, to) = (join.candidate.base.clone(), join.candidate.commit.clone());
            match git.compare_and_swap(&repo.branch, &from, &to, "sprint: join the upstream")? {
                CompareAndSwap::Moved => {
                    state.green.insert(to.clone());
                    state.has_moved(Move { from: from.clone(), to: to.clone(), landed: None });
                    let data = json!({ "from": from, "to": to, "trial": join.id });
                    upstream::record(sprint, EventKind::REPO_SYNCED, &repo.name, data).await?;
                }
                CompareAndSwap::Stale => {}
            }
        }
        TrialState::Failed { reason, .. } | TrialState::Cancelled { reason } => {
            let reason = format!(
                "the upstream's {} was moved outside of the coordinator, and what has landed does not pass on top of that: {reason}; repair the merge of both, push the result to the upstream",
                repo.branch
            );
            apply(sprint, join.id, TrialEvent::Retired).await?;
            upstream::halt(sprint, &repo.name, reason).await?;
        }
        TrialState::Unmergeable { .. } => apply(sprint, join.id, TrialEvent::Retired).await?,
    }
    Ok(Some(Progress::Made))
}
