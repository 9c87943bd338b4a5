//! A repo's submodules: they are fetched with the branch that names them, so that workers find them.

use std::sync::Arc;

use sprint_core::address::RepoAddress;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::tree_rules::{Problem, ProblemKind};

use crate::git::{GitRepo, MissingSubmodule, Submodule};
use crate::service::{Coordinator, ServiceError};

/// Fetches the submodules that a commit of a repo's branch names, unless that was done. What cannot be had is shown, and
/// tried again.
///
/// # Errors
/// Those of our own repository.
pub(crate) async fn bring(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &RepoName,
    address: &RepoAddress,
    commit: &CommitId,
) -> Result<(), ServiceError> {
    if !sprint.submodules.begin(repo, commit, sprint.now()) {
        return Ok(());
    }
    let missing = git.bring_submodules(commit.as_str(), address).await;
    for MissingSubmodule { path, why } in missing.as_deref().unwrap_or_default() {
        tracing::warn!(%repo, path, why, "a submodule is missing; workers find it empty");
    }
    let found = missing.as_ref().map_or_else(
        |error| vec![MissingSubmodule { path: "the submodules".to_owned(), why: error.to_string() }],
        Clone::clone,
    );
    sprint.submodules.done(repo, commit, found, sprint.now());
    missing.map(drop).map_err(Into::into)
}

/// Fetches what is missing of a repo's submodules, in a task of its own: a server that does not answer holds no queue.
pub(crate) fn tend(sprint: &Arc<Coordinator>, name: &RepoName) {
    let Some(repo) = sprint.store.live().repo(name) else { return sprint.submodules.forget(name) };
    let (Some(url), Ok(git)) = (repo.url.clone(), sprint.git.get(name)) else { return };
    let Ok(tip) = git.tip(&repo.branch) else { return };
    let (sprint, name) = (Arc::clone(sprint), name.clone());
    let stop = sprint.stop.clone();
    let tasks = sprint.tasks.clone();
    tasks.spawn(stop.run_until_cancelled_owned(async move {
        if let Err(error) = bring(&sprint, &git, &name, &url, &tip).await {
            tracing::warn!(repo = %name, %error, "the submodules could not be looked at");
        }
    }));
}

/// What a change does with submodules that must not land: a commit that nobody can get, or, by a worker, an address that
/// a person has not brought.
///
/// # Errors
/// Those of our own repository.
pub(crate) async fn problems(
    git: &GitRepo,
    address: &RepoAddress,
    before: &str,
    after: &str,
    by_worker: bool,
) -> Result<Vec<Problem>, ServiceError> {
    let new = git.submodules(after, address, "").await?;
    if new.is_empty() {
        return Ok(vec![]);
    }
    let old = git.submodules(before, address, "").await?;
    let is_known = |module: &Submodule| old.iter().any(|old| old.address == module.address);
    let mut problems = vec![];
    for module in new.iter().filter(|module| !old.contains(module)) {
        let kind = if by_worker && !is_known(module) {
            let address = module.address.as_ref().map_or_else(Clone::clone, ToString::to_string);
            Some(ProblemKind::NewSubmodule { address })
        } else {
            let brought = git.bring_submodule(&module.commit, &module.address).await?;
            brought.err().map(|why| ProblemKind::SubmoduleMissing { why })
        };
        problems.extend(kind.map(|kind| Problem { path: module.path.clone(), kind }));
    }
    Ok(problems)
}
