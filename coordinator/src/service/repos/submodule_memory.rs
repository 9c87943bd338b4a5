//! What is known of the submodules of each repo's branch.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sprint_core::ids::{CommitId, RepoName};
use sprint_core::time::Timestamp;

use crate::git::MissingSubmodule;

/// The first pause before what could not be fetched is tried again, and the longest.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// Which commit of each repo was looked at, and what of its submodules is missing.
#[derive(Debug, Default)]
pub(crate) struct Submodules {
    known: Mutex<HashMap<RepoName, Known>>,
}

#[derive(Debug)]
struct Known {
    tip: CommitId,
    missing: Vec<MissingSubmodule>,
    /// When the missing ones are tried again; never while that goes on.
    again: Option<Timestamp>,
    pause: Duration,
}

impl Submodules {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<RepoName, Known>) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The submodules of a repo's branch that could not be fetched.
    pub(crate) fn missing(&self, repo: &RepoName) -> Vec<MissingSubmodule> {
        self.with(|known| known.get(repo).map(|known| known.missing.clone()).unwrap_or_default())
    }

    /// Whether a repo's submodules are to be fetched at a commit; who is told so fetches them.
    pub(super) fn begin(&self, repo: &RepoName, tip: &CommitId, now: Timestamp) -> bool {
        self.with(|known| {
            if let Some(known) = known.get_mut(repo).filter(|known| known.tip == *tip) {
                let is_due = !known.missing.is_empty() && known.again.is_some_and(|again| again <= now);
                if is_due {
                    known.again = None;
                }
                return is_due;
            }
            // What was missing is so until it is known better.
            let missing = known.remove(repo).map(|known| known.missing).unwrap_or_default();
            known.insert(repo.clone(), Known { tip: tip.clone(), missing, again: None, pause: PAUSE });
            true
        })
    }

    pub(super) fn done(&self, repo: &RepoName, tip: &CommitId, missing: Vec<MissingSubmodule>, now: Timestamp) {
        self.with(|known| {
            if let Some(known) = known.get_mut(repo).filter(|known| known.tip == *tip) {
                known.again = Some(now.plus(known.pause));
                known.pause = (known.pause * 2).min(PAUSE_MAX);
                known.missing = missing;
            }
        });
    }

    pub(crate) fn forget(&self, repo: &RepoName) {
        self.with(|known| known.remove(repo));
    }
}
