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
    is_fetching: bool,
    missing: Vec<MissingSubmodule>,
    /// When the missing ones are tried again; none until a fetch has come to its end.
    again: Option<Timestamp>,
    pause: Duration,
}

impl Known {
    fn is_due(&self, now: Timestamp) -> bool {
        let is_due = self.again.is_none_or(|again| !self.missing.is_empty() && again <= now);
        is_due && !self.is_fetching
    }
}

/// The right to fetch a repo's submodules at a commit; one at a time has it. A fetch that is cut off is due again at once.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    memory: &'a Submodules,
    repo: &'a RepoName,
    tip: &'a CommitId,
}

impl Turn<'_> {
    pub(super) fn done(self, missing: Vec<MissingSubmodule>, now: Timestamp) {
        self.with(|known| {
            known.again = Some(now.plus(known.pause));
            known.pause = (known.pause * 2).min(PAUSE_MAX);
            known.missing = missing;
        });
    }

    fn with(&self, change: impl FnOnce(&mut Known)) {
        self.memory.with(|all| all.get_mut(self.repo).filter(|known| known.tip == *self.tip).map(change));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.with(|known| known.is_fetching = false);
    }
}

impl Submodules {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<RepoName, Known>) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The submodules of a repo's branch that could not be fetched.
    pub(crate) fn missing(&self, repo: &RepoName) -> Vec<MissingSubmodule> {
        self.with(|known| known.get(repo).map(|known| known.missing.clone()).unwrap_or_default())
    }

    /// A turn, if a repo's submodules are to be fetched at a commit.
    pub(super) fn begin<'a>(&'a self, repo: &'a RepoName, tip: &'a CommitId, now: Timestamp) -> Option<Turn<'a>> {
        self.with(|all| {
            if all.get(repo).is_none_or(|known| known.tip != *tip) {
                // What was missing is so until it is known better.
                let missing = all.remove(repo).map(|known| known.missing).unwrap_or_default();
                let known = Known { tip: tip.clone(), is_fetching: false, missing, again: None, pause: PAUSE };
                all.insert(repo.clone(), known);
            }
            let known = all.get_mut(repo).filter(|known| known.is_due(now))?;
            known.is_fetching = true;
            Some(Turn { memory: self, repo, tip })
        })
    }

    pub(crate) fn forget(&self, repo: &RepoName) {
        self.with(|known| known.remove(repo));
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::fixtures::{commit, repo_name};

    use super::*;

    #[test]
    fn a_fetch_is_due_once_for_each_tip_again_when_it_was_cut_off_and_after_pauses_for_what_is_missing() {
        let memory = Submodules::default();
        let (repo, one, two) = (repo_name(), commit("1"), commit("2"));
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let turn = memory.begin(&repo, &one, at(0)).expect("is due");
        assert!(memory.begin(&repo, &one, at(0)).is_none(), "one at a time");
        drop(turn);
        let missing = MissingSubmodule { path: "lib".to_owned(), why: "it is away".to_owned() };
        memory.begin(&repo, &one, at(0)).expect("was cut off").done(vec![missing.clone()], at(0));
        assert!(memory.begin(&repo, &one, at(9)).is_none());
        memory.begin(&repo, &one, at(10)).expect("is tried again").done(vec![missing.clone()], at(10));
        assert!(memory.begin(&repo, &one, at(29)).is_none(), "the pause has doubled");
        // A turn for a tip that is past says nothing of the new one.
        let late = memory.begin(&repo, &one, at(30)).expect("is tried again");
        let turn = memory.begin(&repo, &two, at(30)).expect("is due");
        late.done(vec![], at(31));
        assert_eq!(memory.missing(&repo), [missing]);
        assert!(memory.begin(&repo, &two, at(31)).is_none());
        turn.done(vec![], at(32));
        assert!(memory.begin(&repo, &two, at(10_000)).is_none(), "nothing is missing");
    }
}
