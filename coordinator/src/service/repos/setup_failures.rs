//! Where the setup of a repo's workspaces fails: what is known since the coordinator's start.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use sprint_core::assignment::AttemptOutcome;
use sprint_core::ids::{OutpostName, RepoName};

/// What the last workers of each repo have met.
#[derive(Debug, Default)]
pub(crate) struct SetupFailures {
    known: Mutex<HashMap<RepoName, SetupFailure>>,
}

/// A setup that has failed, and has not succeeded since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SetupFailure {
    pub(crate) outposts: BTreeSet<OutpostName>,
    /// The last one's.
    pub(crate) reason: String,
}

impl SetupFailures {
    pub(crate) fn of(&self, repo: &RepoName) -> Option<SetupFailure> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(repo).cloned()
    }

    pub(crate) fn forget(&self, repo: &RepoName) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }

    /// Learns from the end of an attempt: one that came to its own command was set up.
    pub(crate) fn learn(&self, repo: &RepoName, outpost: &OutpostName, outcome: &AttemptOutcome) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            AttemptOutcome::NotSetUp { reason } => {
                let failure = known.entry(repo.clone()).or_default();
                failure.outposts.insert(outpost.clone());
                failure.reason.clone_from(reason);
            }
            AttemptOutcome::Committed { .. }
            | AttemptOutcome::Failed { .. }
            | AttemptOutcome::Unfit { .. }
            | AttemptOutcome::NothingToDo { .. } => {
                known.remove(repo);
            }
            AttemptOutcome::Lost { .. } | AttemptOutcome::Stopped { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::fixtures::{outpost_name, repo_name};

    use super::*;

    #[test]
    fn a_failure_is_known_until_a_worker_is_set_up() {
        let failures = SetupFailures::default();
        let (repo, here) = (repo_name(), outpost_name());
        let there = OutpostName::new("there").expect("a name");
        failures.learn(&repo, &here, &AttemptOutcome::NotSetUp { reason: "one".to_owned() });
        failures.learn(&repo, &there, &AttemptOutcome::NotSetUp { reason: "two".to_owned() });
        failures.learn(&repo, &here, &AttemptOutcome::Lost { reason: String::new() });
        let known = failures.of(&repo).expect("is known");
        assert_eq!((known.outposts.len(), known.reason.as_str()), (2, "two"));
        failures.learn(&repo, &here, &AttemptOutcome::Failed { reason: String::new() });
        assert_eq!(failures.of(&repo), None);
    }
}
