//! What people name: a repo, and a branch, ref or commit of it.

use std::sync::Arc;

use sprint_core::act::Act;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::refusal::{Code, Noun as _, Refusal};
use sprint_core::repo::Repo;

use crate::git::GitRepo;
use crate::service::{Coordinator, ServiceError};

/// A repo and its repository.
///
/// # Errors
/// There is no such repo.
pub(crate) async fn repo(sprint: &Coordinator, name: &RepoName) -> Result<(Repo, Arc<GitRepo>), ServiceError> {
    let repo = sprint.store.get(name).await?.ok_or_else(|| ServiceError::no_repo(name))?;
    let git = sprint.git.get(name)?;
    Ok((repo, git))
}

/// The repo that is named, or the only one that there is.
///
/// # Errors
/// There is no such repo, or [`Code::RepoAmbiguous`] when there are several.
pub(crate) async fn repo_or_only(
    sprint: &Coordinator,
    name: Option<RepoName>,
) -> Result<(Repo, Arc<GitRepo>), ServiceError> {
    if let Some(name) = name {
        return repo(sprint, &name).await;
    }
    let repos = sprint.store.live().repos();
    match repos.as_slice() {
        [] => Err(Refusal::new(Repo::NOT_FOUND, "there is no repo").next(Act::AddRepo).into()),
        [only] => repo(sprint, &only.name).await,
        several => {
            let names = several.iter().map(|repo| repo.name.to_string()).collect::<Vec<_>>().join(", ");
            let why = format!("there are several repos ({names}); name one of them");
            Err(Refusal::new(Code::RepoAmbiguous, why).field("repo").into())
        }
    }
}

/// What a name means.
pub(crate) struct Named {
    pub(crate) commit: CommitId,
    /// It is a branch of the upstream, which no worker can write to.
    pub(crate) of_upstream: bool,
}

/// The commit that a name means: the upstream's branch, fetched now, or a branch, ref or commit that is here.
///
/// # Errors
/// [`Code::RevisionNotFound`], or what the upstream says.
pub(crate) async fn resolve(repo: &Repo, git: &GitRepo, name: &str) -> Result<Named, ServiceError> {
    if let Some(url) = &repo.url
        && let Some(commit) = git.fetch_branch(url, name).await?
    {
        return Ok(Named { commit, of_upstream: true });
    }
    let Some(commit) = git.find(name)? else {
        let upstream = if repo.url.is_some() { "no branch of the upstream, and " } else { "" };
        let why = format!("\"{name}\" is {upstream}no branch, ref or commit of repo \"{}\" here", repo.name);
        return Err(ServiceError::new(Code::RevisionNotFound, why));
    };
    if !git.is_whole(&commit).await? {
        let why = format!("\"{name}\" is here without all of its files; name the branch of the upstream that holds it");
        return Err(ServiceError::new(Code::RevisionNotFound, why));
    }
    Ok(Named { commit, of_upstream: false })
}
