//! Changes of protected paths: they pass the old gates and the new, and wait for a person.

use sprint_core::change::{Change, ChangeEvent};
use sprint_core::config::{CONFIG_FILE, RepoConfig};
use sprint_core::gates::Gate;
use sprint_core::ids::TreeId;
use sprint_core::protection::{Approval, ProtectedPaths, Protection};
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;
use sprint_core::weakening;

use crate::git::GitRepo;
use crate::service::repos::config::config_in;
use crate::service::{Actor, Coordinator, ServiceError, transition};

/// The gates that a tree's own configuration adds to those that stand.
///
/// # Errors
/// Those of [`config_in`]; what cannot be read adds none.
pub(crate) fn new_gates(
    git: &GitRepo,
    repo: &Repo,
    standing: &RepoConfig,
    tree: &TreeId,
) -> Result<Vec<Gate>, ServiceError> {
    match config_in(git, repo, tree) {
        Ok(config) => Ok(weakening::new_gates(&standing.gates, &config.gates)),
        Err(error) if error.code() == Code::ConfigInvalid => Ok(vec![]),
        Err(error) => Err(error),
    }
}

/// The paths that differ between two trees and are protected, in order.
///
/// # Errors
/// Those of our own repository.
pub(crate) fn paths(
    git: &GitRepo,
    standing: &RepoConfig,
    before: &TreeId,
    after: &TreeId,
) -> Result<Vec<String>, ServiceError> {
    let protected = ProtectedPaths::new(&standing.protect, CONFIG_FILE)
        .map_err(|error| ServiceError::new(Code::ConfigInvalid, error.to_string()))?;
    let changed = git.changed_in_trees(before, after)?;
    Ok(changed.into_iter().filter(|path| protected.hold(path)).collect())
}

/// Whether a person has agreed that a change brings this path.
pub(crate) fn accepts(change: &Change, path: &str) -> bool {
    let accepted = change.protection.as_ref().filter(|protection| protection.approval.is_some());
    accepted.is_some_and(|protection| protection.more > 0 || protection.paths.iter().any(|known| known == path))
}

/// What the step from one tree to another has to do with protected paths.
///
/// # Errors
/// Those of our own repository.
pub(crate) fn protection(
    git: &GitRepo,
    repo: &Repo,
    standing: &RepoConfig,
    trees: (&TreeId, &TreeId),
) -> Result<Option<Protection>, ServiceError> {
    let (before, after) = trees;
    let paths = paths(git, standing, before, after)?;
    if paths.is_empty() {
        return Ok(None);
    }
    let weakens = match config_in(git, repo, after) {
        Ok(config) => weakening::weakened(standing, &config),
        Err(error) if error.code() == Code::ConfigInvalid => vec![],
        Err(error) => return Err(error),
    };
    Ok(Some(Protection::of(&paths, weakens)))
}

/// Notes what a change has to do with protected paths; answers whether that is news.
///
/// # Errors
/// Those of the store and of our own repository.
pub(crate) async fn note(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    standing: &RepoConfig,
    trees: (&TreeId, &TreeId),
    change: &Change,
) -> Result<bool, ServiceError> {
    let Some(mut protection) = protection(git, repo, standing, trees)? else { return Ok(false) };
    if let Some(known) = &change.protection {
        // An approval is of this commit; whatever is said of it by a later tip needs another.
        if *known == (Protection { approval: known.approval.clone(), ..protection.clone() }) {
            return Ok(false);
        }
    }
    // A worker's work that a person brings is a worker's still.
    if change.own {
        let reason = "a person brought it".to_owned();
        protection.approval = Some(Approval { by: "who brought it".to_owned(), reason, at: sprint.now() });
    }
    let id = change.id;
    let event = move || ChangeEvent::ProtectedPaths { protection: protection.clone() };
    sprint
        .store
        .write(move |tx| {
            let event = event();
            Box::pin(async move {
                transition::apply(tx, id, event, &Actor::MergeQueue).await?;
                Ok::<(), ServiceError>(())
            })
        })
        .await?;
    Ok(true)
}
