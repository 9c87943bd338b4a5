//! Repositories are kept small: packed when they have many files, without the work of items that are long over.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sprint_core::attempt_ref::AttemptRef;
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::retention::{expired, kept_until};
use sprint_core::time::Timestamp;

use crate::git::{GitError, GitRepo};
use crate::service::{Coordinator, ServiceError};

/// How often it is looked for work that is kept no longer; more often where it is kept for a short time only.
const LOOK: Duration = Duration::from_hours(1);
const LOOK_MIN: Duration = Duration::from_secs(1);
/// How long it takes until everything is packed anew, without what nothing has reached for long.
const RECLAIM: Duration = Duration::from_hours(24);

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
    /// Since when whatever nothing reaches any more stays on the disk; none when nothing came to it.
    untidy_since: Option<Timestamp>,
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
        let new = || Known { untidy_since: Some(now), ..Known::default() };
        let known = self.known.entry(name.clone()).or_insert_with(new);
        if known.looked.is_none_or(|looked| looked.plus(pause(keep)) <= now) {
            let gone = give_up(sprint, &git, keep, &mut known.until).await?;
            known.looked = Some(now);
            if gone > 0 {
                tracing::info!(repo = %name, refs = gone, keep = %humantime::format_duration(keep), "the work of items that are long over is kept no longer");
                known.untidy_since.get_or_insert(now);
            }
        }
        if git.is_untidy() {
            git.tidy().await?;
            known.untidy_since.get_or_insert(now);
            tracing::debug!(repo = %name, "packed");
        }
        if known.untidy_since.is_some_and(|since| since.plus(RECLAIM) <= now) {
            git.reclaim().await?;
            known.untidy_since = None;
        }
        Ok(())
    }
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
    let refs: Vec<String> = git.refs_like("refs/sprint/*")?.into_iter().map(|(name, _)| name).collect();
    let items: BTreeSet<_> = refs.iter().filter_map(|name| AttemptRef::parse(name)).map(|found| found.item).collect();
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
    let expired = expired(refs, |item| until.get(&item).copied(), now);
    if !expired.is_empty() {
        git.delete_refs(&expired).await?;
    }
    Ok(expired.len())
}
