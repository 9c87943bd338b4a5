//! What a person decides after the upstream was rewritten by force: whose history counts.

use std::collections::HashSet;

use serde_json::{Value, json};
use sprint_core::act::Act;
use sprint_core::address::RepoAddress;
use sprint_core::change::{Change, ChangeEvent, ChangeState};
use sprint_core::event::EventKind;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::item::ItemEvent;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::repo::{Repo, UpstreamChoice};
use sprint_failpoint::{Point, pass};

use crate::git::{CompareAndSwap, Fetched, GitRepo, Pushed};
use crate::service::repos::halt::event;
use crate::service::repos::upstream;
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

/// How many tips that were given up are remembered.
const GIVEN_UP: usize = 20;

/// Goes on after a rewrite of the upstream. The queue is not worked meanwhile. If this ends in the middle the queue stays
/// halted, and the same choice can be made again.
///
/// # Errors
/// [`Code::RepoInvalid`] when nothing was rewritten, or what the upstream says.
pub(crate) async fn settle(
    sprint: &Coordinator,
    name: &RepoName,
    choice: UpstreamChoice,
    by: &Actor,
) -> Result<(), ServiceError> {
    let queue = sprint.queues.of(name);
    let mut state = queue.lock().await;
    let repo = sprint.store.live().repo(name).ok_or_else(|| ServiceError::no_repo(name))?;
    let (Some(url), true) = (&repo.url, repo.upstream_rewrite.is_some()) else {
        let why = format!("the upstream of repo \"{name}\" was not rewritten; there is nothing to choose");
        return Err(Refusal::new(Code::RepoInvalid, why).field("upstream").next(Act::ShowRepo(name.clone())).into());
    };
    let git = sprint.git.get(name)?;
    // Where it is at this moment, which the choice is about.
    let now = match git.fetch_upstream(url, &repo.branch).await? {
        Fetched::Tip(tip) => tip,
        Fetched::Rewritten(rewrite) => rewrite.now,
    };
    let tip = git.tip(&repo.branch)?;
    match choice {
        UpstreamChoice::Follow => follow(sprint, &git, &repo, &tip, &now, by).await?,
        UpstreamChoice::Restore => restore(&git, &repo, url, &tip, &now).await?,
    }
    let data = json!({ "choice": choice, "ours": tip, "theirs": now });
    go_on(sprint, name, data, by).await?;
    // What was remembered was of another branch.
    state.reset();
    Ok(())
}

/// Takes back the landings that are gone at the upstream, then moves our branch to where that is.
async fn follow(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    now: &CommitId,
    by: &Actor,
) -> Result<(), ServiceError> {
    let lost: HashSet<CommitId> = git.commits_since(now, tip)?.into_iter().collect();
    let is_gone = |change: &Change| {
        let landed = matches!(change.state, ChangeState::Landed { .. });
        landed && change.candidate().is_some_and(|candidate| lost.contains(&candidate.commit))
    };
    let settled = sprint.store.settled_changes(&repo.name, u32::MAX).await?.into_iter();
    // On record before the branch forgets which they are.
    take_back(sprint, repo, settled.filter(is_gone).collect(), tip, now, by).await?;
    pass(Point::FollowBefore);
    match git.compare_and_swap(&repo.branch, tip, now, "sprint: follow the rewritten upstream")? {
        CompareAndSwap::Moved => {
            git.see_upstream(&repo.branch, now)?;
            pass(Point::FollowAfter);
            Ok(())
        }
        CompareAndSwap::Stale => {
            let why = format!("the branch \"{}\" has moved meanwhile; try again", repo.branch);
            Err(ServiceError::new(Code::RepoBusy, why))
        }
    }
}

/// Moves the upstream's branch back to ours, if it is still where it was found.
async fn restore(
    git: &GitRepo,
    repo: &Repo,
    url: &RepoAddress,
    tip: &CommitId,
    now: &CommitId,
) -> Result<(), ServiceError> {
    let why = match git.push_upstream(url, &repo.branch, Some(now), tip).await {
        Ok(Pushed::Done) => return Ok(()),
        Ok(Pushed::Diverged) => "it was moved once more; try again".to_owned(),
        Ok(Pushed::Refused { why }) => why,
        Err(error) => error.to_string(),
    };
    Err(ServiceError::new(Code::UpstreamRefused, format!("the upstream was not moved back: {why}")))
}

/// Records which landings are gone, and that no worker is to bring them again.
async fn take_back(
    sprint: &Coordinator,
    repo: &Repo,
    gone: Vec<Change>,
    tip: &CommitId,
    now: &CommitId,
    by: &Actor,
) -> Result<(), ServiceError> {
    let (name, tip, by) = (repo.name.clone(), tip.clone(), by.clone());
    let why = format!("its landing is gone: {} was rewritten at the upstream, to {}", repo.branch, now.short());
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for change in gone {
                    let undone = ChangeEvent::Undone { reason: why.clone() };
                    transition::apply(tx, change.id, undone, &by).await?;
                    match transition::apply(tx, change.item, ItemEvent::Undone { reason: why.clone() }, &by).await {
                        // It may have been cancelled.
                        Ok(_) | Err(ServiceError::Refused(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                if !repo.given_up.contains(&tip) {
                    repo.given_up.push(tip.clone());
                    let forgotten = repo.given_up.len().saturating_sub(GIVEN_UP);
                    repo.given_up.drain(..forgotten);
                    tx.save(repo, event(EventKind::REPO_TIP_GIVEN_UP, &name, &by, json!({ "tip": tip })));
                }
                Ok(())
            })
        })
        .await
}

/// Ends the halt.
async fn go_on(sprint: &Coordinator, name: &RepoName, data: Value, by: &Actor) -> Result<(), ServiceError> {
    let event = event(EventKind::REPO_UPSTREAM_CHOSEN, name, by, data);
    let go_on = |repo: &mut Repo| {
        repo.halted = None;
        repo.upstream_rewrite = None;
        repo.upstream_trouble = None;
        repo.pushing = None;
    };
    upstream::change_with(sprint, name, event, &[Notice::Merger, Notice::Scheduler], go_on).await.map(drop)
}
