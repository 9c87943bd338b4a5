//! A repo's submodules: they are fetched with the branch that names them, so that workers find them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sprint_core::address::RepoAddress;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::tree_rules::{Problem, ProblemKind};

use crate::git::{GitRepo, MissingSubmodule, Submodule};
use crate::service::{Coordinator, ServiceError};

/// How long a queue waits for the submodules of a push.
const SOON: Duration = Duration::from_secs(20);
/// How long it waits for those of a change: what cannot be had within this time does not land.
const LONGEST: Duration = Duration::from_mins(2);
/// More problems than a person wants to read at once, and more submodules than a change changes that is meant well.
const MOST_PROBLEMS: usize = 10;
const MOST_CHANGED: usize = 100;

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
    let Some(turn) = sprint.submodules.begin(repo, commit, sprint.now()) else { return Ok(()) };
    let missing = git.bring_submodules(commit.as_str(), address).await;
    for MissingSubmodule { path, why } in missing.as_deref().unwrap_or_default() {
        tracing::warn!(%repo, path, why, "a submodule is missing; workers find it empty");
    }
    let found = missing.as_ref().map_or_else(
        |error| vec![MissingSubmodule { path: "the submodules".to_owned(), why: error.to_string() }],
        Clone::clone,
    );
    turn.done(found, sprint.now());
    missing.map(drop).map_err(Into::into)
}

/// As [`bring`], for a queue that waits: what takes long goes on in a task of its own, and workers that start meanwhile
/// find submodules empty.
///
/// # Errors
/// Those of our own repository.
pub(crate) async fn bring_soon(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &RepoName,
    address: &RepoAddress,
    commit: &CommitId,
) -> Result<(), ServiceError> {
    let brought = tokio::time::timeout(SOON, bring(sprint, git, repo, address, commit)).await;
    brought.unwrap_or_else(|_| {
        tracing::warn!(%repo, "fetching submodules takes long; workers that start meanwhile find them empty");
        Ok(())
    })
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
/// a person has not brought; at any depth.
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
    let changed = changed(git, address, before, new.clone(), by_worker);
    tokio::time::timeout(LONGEST, changed).await.unwrap_or_else(|_| {
        let why = format!("it was not fetched within {}", humantime::format_duration(LONGEST));
        let missing = |module: &Submodule| Problem {
            path: module.path.clone(),
            kind: ProblemKind::SubmoduleMissing { why: why.clone() },
        };
        Ok(new.iter().take(MOST_PROBLEMS).map(missing).collect())
    })
}

async fn changed(
    git: &GitRepo,
    address: &RepoAddress,
    before: &str,
    new: Vec<Submodule>,
    by_worker: bool,
) -> Result<Vec<Problem>, ServiceError> {
    let old = git.submodules_within(before, address).await?;
    let known: HashSet<_> =
        old.iter().filter_map(|module| module.address.as_ref().ok().map(ToString::to_string)).collect();
    let (mut problems, mut looked, mut unreachable) = (vec![], 0, HashSet::new());
    let mut open: VecDeque<Submodule> = new.into();
    while let Some(module) = open.pop_front() {
        if old.contains(&module) {
            continue;
        }
        looked += 1;
        let kind = match &module.address {
            _ if looked > MOST_CHANGED => Some(ProblemKind::SubmoduleMissing {
                why: format!("the change changes more than {MOST_CHANGED} submodules"),
            }),
            Ok(address) if by_worker && !known.contains(&address.to_string()) => {
                Some(ProblemKind::NewSubmodule { address: address.to_string() })
            }
            Err(why) if by_worker => Some(ProblemKind::NewSubmodule { address: why.clone() }),
            // One answer is enough of a server that does not give any.
            Ok(address) if unreachable.contains(&address.to_string()) => {
                Some(ProblemKind::SubmoduleMissing { why: format!("{address} did not give another commit") })
            }
            Ok(_) | Err(_) => match git.bring_submodule(&module.commit, &module.address).await? {
                Ok(address) => {
                    let within = format!("{}/", module.path);
                    open.extend(git.submodules(module.commit.as_str(), &address, &within).await?);
                    None
                }
                Err(why) => {
                    unreachable.extend(module.address.as_ref().ok().map(ToString::to_string));
                    Some(ProblemKind::SubmoduleMissing { why })
                }
            },
        };
        problems.extend(kind.map(|kind| Problem { path: module.path.clone(), kind }));
        if problems.len() >= MOST_PROBLEMS || looked > MOST_CHANGED {
            break;
        }
    }
    Ok(problems)
}
