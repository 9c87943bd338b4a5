//! What a person decides after the upstream was rewritten by force: whose history counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sprint_core::act::Act;
use sprint_core::change::{Change, ChangeEvent};
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{ChangeId, CommitId, ItemId, RepoName};
use sprint_core::item::ItemEvent;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::repo::{Repo, UpstreamChoice};

use crate::git::{CompareAndSwap, Fetched, GitRepo, Pushed};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

/// The trailer of a landing that names its change.
const TRAILER: &str = "Sprint-Change: ";

/// How many tips that were given up are remembered.
const GIVEN_UP: usize = 20;

/// What was chosen, where both branches were, and the landed changes that are gone.
struct Decision {
    choice: UpstreamChoice,
    tip: CommitId,
    now: CommitId,
    gone: Vec<Change>,
}

/// Goes on after a rewrite of the upstream. The queue is not worked meanwhile.
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
    let gone = match choice {
        UpstreamChoice::Follow => follow(sprint, &git, &repo, &tip, &now).await?,
        UpstreamChoice::Restore => {
            restore(&git, &repo, &tip, &now).await?;
            vec![]
        }
    };
    let items: Vec<ItemId> = gone.iter().map(|change| change.item).collect();
    let data = json!({ "choice": choice, "ours": tip, "theirs": now, "items": items });
    record(sprint, &repo, Decision { choice, tip, now, gone }, data, by).await?;
    // What was remembered was of another branch.
    state.reset();
    Ok(())
}

/// Moves our branch to where the upstream's is; answers the landed changes that are gone.
async fn follow(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    now: &CommitId,
) -> Result<Vec<Change>, ServiceError> {
    let lost: BTreeSet<CommitId> = git.commits_since(now, tip)?.into_iter().collect();
    let mut gone = vec![];
    for commit in &lost {
        let message = git.message(commit)?;
        let named = message.lines().filter_map(|line| line.strip_prefix(TRAILER)?.trim().parse::<u64>().ok());
        for id in named.map(ChangeId::new) {
            let change = sprint.store.get(&id).await?.filter(|change| change.repo == repo.name);
            // Anyone can write a trailer: the record says what landed as what.
            let landed =
                change.filter(|change| change.candidate().is_some_and(|candidate| lost.contains(&candidate.commit)));
            gone.extend(landed.filter(|change| gone.iter().all(|known: &Change| known.id != change.id)));
        }
    }
    match git.compare_and_swap(&repo.branch, tip, now, "sprint: follow the rewritten upstream")? {
        CompareAndSwap::Moved => {
            git.see_upstream(&repo.branch, now)?;
            Ok(gone)
        }
        CompareAndSwap::Stale => {
            let why = format!("the branch \"{}\" has moved meanwhile; try again", repo.branch);
            Err(ServiceError::new(Code::RepoBusy, why))
        }
    }
}

/// Moves the upstream's branch back to ours, if it is still where it was found.
async fn restore(git: &GitRepo, repo: &Repo, tip: &CommitId, now: &CommitId) -> Result<(), ServiceError> {
    let Some(url) = &repo.url else { return Ok(()) };
    let before = git.upstream_seen(&repo.branch)?;
    git.see_upstream(&repo.branch, now)?;
    let pushed = git.push_upstream(url, &repo.branch, tip).await;
    let why = match pushed {
        Ok(Pushed::Done) => return Ok(()),
        Ok(Pushed::Diverged) => "it was moved once more; try again".to_owned(),
        Ok(Pushed::Refused { why }) => why,
        Err(error) => error.to_string(),
    };
    // Until it has worked, the rewrite is not forgotten.
    if let Some(before) = before {
        git.see_upstream(&repo.branch, &before)?;
    }
    Err(ServiceError::new(Code::UpstreamRefused, format!("the upstream was not moved back: {why}")))
}

/// Ends the halt, and takes back the landings that are gone.
async fn record(
    sprint: &Coordinator,
    repo: &Arc<Repo>,
    Decision { choice, tip, now, gone }: Decision,
    data: Value,
    by: &Actor,
) -> Result<(), ServiceError> {
    let (name, by) = (repo.name.clone(), by.clone());
    let why = format!("its landing is gone: {} was rewritten at the upstream, to {}", repo.branch, now.short());
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for change in gone {
                    let undone = ChangeEvent::Undone { reason: why.clone() };
                    transition::apply(tx, change.id, undone, &by).await?;
                    match transition::apply(tx, change.item, ItemEvent::Undone { reason: why.clone() }, &by).await {
                        // Cancelled, say.
                        Ok(_) | Err(ServiceError::Refused(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                repo.halted = None;
                repo.upstream_rewrite = None;
                repo.upstream_trouble = None;
                repo.pushing = None;
                if choice == UpstreamChoice::Follow {
                    repo.given_up.push(tip);
                    let forgotten = repo.given_up.len().saturating_sub(GIVEN_UP);
                    repo.given_up.drain(..forgotten);
                }
                let kind = EventKind::REPO_UPSTREAM_CHOSEN;
                tx.save(repo, NewEvent { kind, repo: Some(name), item: None, actor: by, data });
                tx.notify(Notice::Merger);
                tx.notify(Notice::Scheduler);
                Ok(())
            })
        })
        .await
}
