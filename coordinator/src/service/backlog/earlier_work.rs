//! What a further attempt starts from: nothing, or the work of one before it.

use sprint_core::attempt_ref::{AttemptRef, RefKind, SNAPSHOT_MESSAGE};
use sprint_core::ids::{Attempt, CommitId};
use sprint_core::item::Item;
use sprint_core::job::EarlierWork;
use sprint_core::repo::{Repo, Resume};

use crate::git::GitRepo;
use crate::service::ServiceError;

/// The earlier work that the next attempt at `item` starts from, if its repo wants that and there is any that
/// the branch does not have: the newest attempt's.
///
/// # Errors
/// What git says.
pub(crate) fn of(git: &GitRepo, repo: &Repo, item: &Item, tip: &CommitId) -> Result<Option<EarlierWork>, ServiceError> {
    if repo.resume == Resume::Clean {
        return Ok(None);
    }
    for attempt in (1..=item.attempt.get()).rev().map(Attempt::new) {
        let found = match repo.resume {
            Resume::Clean => None,
            Resume::Wip => match left(git, item, attempt)? {
                Some(left) => Some(left),
                None => committed(git, item, attempt)?,
            },
            Resume::Branch => match committed(git, item, attempt)? {
                Some(committed) => Some(committed),
                None => left(git, item, attempt)?.map(|left| EarlierWork { uncommitted: None, ..left }),
            },
        };
        if let Some(found) = found
            && (found.uncommitted.is_some() || !git.reaches(tip, &found.commit)?)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What an attempt left, committed or not, whatever came of it; what is uncommitted only if it is on top of the
/// commits.
///
/// # Errors
/// What git says.
pub(crate) fn work_of(git: &GitRepo, item: &Item, attempt: Attempt) -> Result<Option<EarlierWork>, ServiceError> {
    let left = left(git, item, attempt)?;
    let Some(work) = committed(git, item, attempt)? else { return Ok(left) };
    let uncommitted = left.filter(|left| left.commit == work.commit).and_then(|left| left.uncommitted);
    Ok(Some(EarlierWork { uncommitted, ..work }))
}

/// The first of an attempt's two refs of a kind that is there: what came late is newer.
fn find(
    git: &GitRepo,
    item: &Item,
    attempt: Attempt,
    kind: RefKind,
) -> Result<Option<(String, CommitId)>, ServiceError> {
    for late in [true, false] {
        let name = AttemptRef { item: item.id, attempt, kind, label: None, late }.name();
        if let Some(commit) = git.resolve(&name)? {
            return Ok(Some((name, commit)));
        }
    }
    Ok(None)
}

/// An attempt's commits.
fn committed(git: &GitRepo, item: &Item, attempt: Attempt) -> Result<Option<EarlierWork>, ServiceError> {
    let found = find(git, item, attempt, RefKind::Work)?;
    Ok(found.map(|(from_ref, commit)| EarlierWork { attempt, commit, uncommitted: None, from_ref }))
}

/// Where an attempt stood when it was last looked at.
fn left(git: &GitRepo, item: &Item, attempt: Attempt) -> Result<Option<EarlierWork>, ServiceError> {
    let Some((from_ref, newest)) = find(git, item, attempt, RefKind::Wip)? else { return Ok(None) };
    // Where everything was committed the ref names the commit itself.
    let parent = if git.message(&newest)?.trim_end() == SNAPSHOT_MESSAGE { git.parent(&newest)? } else { None };
    Ok(Some(match parent {
        Some(commit) => EarlierWork { attempt, commit, uncommitted: Some(newest), from_ref },
        None => EarlierWork { attempt, commit: newest, uncommitted: None, from_ref },
    }))
}

#[cfg(test)]
#[path = "earlier_work_tests.rs"]
mod tests;
