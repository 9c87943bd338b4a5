//! Another target branch: the upstream's has got a new name.

use serde_json::json;
use sprint_core::act::Act;
use sprint_core::change::ChangeState;
use sprint_core::event::EventKind;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::repo::{Pushes, Repo};

use crate::git::GitRepo;
use crate::service::repos::halt::event;
use crate::service::repos::upstream;
use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::Notice;

/// Has work land on another branch, which holds all that has landed. The queue is not worked meanwhile; if this ends in
/// the middle, the branch is the old one, and it can be done again.
///
/// # Errors
/// [`Code::RepoInvalid`] when there is no such branch or it lacks what has landed, [`Code::RepoBusy`] during a landing.
pub(crate) async fn set_branch(
    sprint: &Coordinator,
    name: &RepoName,
    branch: String,
    by: &Actor,
) -> Result<(), ServiceError> {
    let queue = sprint.queues.of(name);
    let mut state = queue.lock().await;
    let repo = sprint.store.live().repo(name).ok_or_else(|| ServiceError::no_repo(name))?;
    if repo.branch == branch {
        return Ok(());
    }
    let changes = sprint.store.live().queue(name).changes;
    if changes.iter().any(|entry| matches!(entry.change.state, ChangeState::Landing { .. })) {
        let why = format!("a change is landing on branch \"{}\"; try again", repo.branch);
        return Err(Refusal::new(Code::RepoBusy, why).next(Act::ShowRepo(name.clone())).into());
    }
    let git = sprint.git.get(name)?;
    let tip = find(&git, &repo, &branch).await?;
    git.take_branch(&branch, &tip).await?;
    let data = json!({ "branch": branch, "was": repo.branch, "tip": tip });
    let event = event(EventKind::REPO_CHANGED, name, by, data);
    upstream::change_with(sprint, name, event, &[Notice::Merger, Notice::Scheduler], |repo| {
        repo.branch = branch;
        repo.upstream_trouble = None;
        repo.pushing = None;
        repo.pushes = Pushes::Untried;
        // The rewrite was of the old one.
        if repo.upstream_rewrite.take().is_some() {
            repo.halted = None;
        }
    })
    .await?;
    git.forget_branch(&repo.branch)?;
    // What was remembered was of another branch.
    state.reset();
    Ok(())
}

/// Where the branch is at the upstream, if it holds what has landed here.
async fn find(git: &GitRepo, repo: &Repo, branch: &str) -> Result<CommitId, ServiceError> {
    let invalid = |why: String| ServiceError::from(Refusal::new(Code::RepoInvalid, why).field("branch"));
    let ours = git.tip(&repo.branch)?;
    let Some(url) = &repo.url else { return Ok(ours) };
    let Some(theirs) = git.fetch_branch(url, branch).await? else {
        return Err(invalid(format!("the upstream has no branch \"{branch}\"; create it there first")));
    };
    if !git.reaches(&theirs, &ours)? {
        let (old, ours) = (&repo.branch, ours.short());
        return Err(invalid(format!(
            "the upstream's branch \"{branch}\" lacks {ours}, to which work has landed on \"{old}\"; merge that there first, or add the repository by another name with that branch"
        )));
    }
    Ok(theirs)
}
