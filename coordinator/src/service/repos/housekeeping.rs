//! Repositories are kept small: packed when they have many files, without the work of items that are long over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sprint_core::attempt_ref::AttemptRef;
use sprint_core::ids::{CommitId, ItemId, RepoName};
use sprint_core::retention::{expired, kept_until};
use sprint_core::time::Timestamp;

use crate::git::{GitError, GitRepo};
use crate::service::{Coordinator, ServiceError};

/// How often it is looked for work that is kept no longer; more often where it is kept for a short time only.
const LOOK: Duration = Duration::from_hours(1);
const LOOK_MIN: Duration = Duration::from_secs(1);
/// How long it takes until everything is packed anew, and what nothing reaches is put aside.
const RECLAIM: Duration = Duration::from_hours(24);
/// How long it takes until what was put aside is old enough to go; git's two weeks, and a day.
const DROP: Duration = Duration::from_hours(24 * 15);

/// What is known between passes; a pass can begin without.
#[derive(Debug, Default)]
pub struct Work {
    known: HashMap<RepoName, Known>,
}

#[derive(Debug, Default)]
struct Known {
    looked: Option<Timestamp>,
    /// Of items that are over: until when their work is kept.
    until: HashMap<ItemId, Timestamp>,
    /// Whether there may be something that nothing reaches any more, and that has not been put aside yet.
    has_unreached: bool,
}

impl Work {
    /// When the next look is due, if that is before the next tick.
    pub fn pause(sprint: &Coordinator) -> Option<Duration> {
        Some(pause(sprint.settings.keep_work)).filter(|pause| *pause < LOOK)
    }

    /// Tends one repo's repository.
    ///
    /// # Errors
    /// What git or the store says; the next pass begins anew.
    pub async fn tend(&mut self, sprint: &Coordinator, name: &RepoName) -> Result<(), ServiceError> {
        let git = match sprint.git.get(name) {
            Ok(git) => git,
            // It is being removed.
            Err(GitError::Missing(_)) => {
                self.known.remove(name);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let (now, keep) = (sprint.now(), sprint.settings.keep_work);
        // What an earlier run has left is not known.
        let new = || Known { has_unreached: true, ..Known::default() };
        let known = self.known.entry(name.clone()).or_insert_with(new);
        if known.looked.is_none_or(|looked| looked.plus(pause(keep)) <= now) {
            let gone = give_up(sprint, &git, keep, &mut known.until).await?;
            known.looked = Some(now);
            if gone > 0 {
                tracing::info!(repo = %name, refs = gone, keep = %humantime::format_duration(keep), "the work of items that are long over is kept no longer");
                known.has_unreached = true;
            }
        }
        if git.is_untidy() {
            git.tidy().await?;
            known.has_unreached = true;
            tracing::debug!(repo = %name, "packed");
        }
        if reclaim_is_due(git.reclaimed_at()?.into(), known.has_unreached, git.holds_unreached(), now) {
            git.reclaim().await?;
            known.has_unreached = false;
            tracing::debug!(repo = %name, "packed anew, without what nothing has reached for long");
        }
        Ok(())
    }
}

/// Whether everything is to be packed anew; `last` outlasts restarts, so that they put off nothing.
fn reclaim_is_due(last: Timestamp, has_unreached: bool, holds_unreached: bool, now: Timestamp) -> bool {
    (has_unreached && last.plus(RECLAIM) <= now) || (holds_unreached && last.plus(DROP) <= now)
}

fn pause(keep: Duration) -> Duration {
    (keep / 2).clamp(LOOK_MIN, LOOK)
}

/// Removes the refs of work that is kept no longer; answers how many there were.
async fn give_up(
    sprint: &Coordinator,
    git: &GitRepo,
    keep: Duration,
    until: &mut HashMap<ItemId, Timestamp>,
) -> Result<usize, ServiceError> {
    let now = sprint.now();
    let refs: BTreeMap<String, CommitId> = git.refs_like("refs/sprint/*")?.into_iter().collect();
    let items: BTreeSet<_> = refs.keys().filter_map(|name| AttemptRef::parse(name)).map(|found| found.item).collect();
    until.retain(|item, _| items.contains(item));
    for item in items {
        // One whose time has come is looked at once more: it may have been taken up again.
        if until.get(&item).is_some_and(|until| *until > now) {
            continue;
        }
        let found = sprint.store.get(&item).await?.and_then(|item| kept_until(&item, keep));
        match found {
            Some(time) => until.insert(item, time),
            None => until.remove(&item),
        };
    }
    let expired = expired(refs.keys().cloned().collect(), |item| until.get(&item).copied(), now);
    if expired.is_empty() {
        return Ok(0);
    }
    git.delete_refs(&expired).await?;
    put_back(sprint, git, &refs, &expired).await?;
    Ok(expired.len())
}

/// Makes refs again whose item was taken up between the look and the removal.
async fn put_back(
    sprint: &Coordinator,
    git: &GitRepo,
    refs: &BTreeMap<String, CommitId>,
    gone: &[String],
) -> Result<(), ServiceError> {
    for name in gone {
        let Some(found) = AttemptRef::parse(name) else { continue };
        let is_over = sprint.store.get(&found.item).await?.is_none_or(|item| item.is_over());
        if let Some(commit) = refs.get(name).filter(|_| !is_over) {
            git.set_ref(name, commit)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "housekeeping_tests.rs"]
mod tests;
