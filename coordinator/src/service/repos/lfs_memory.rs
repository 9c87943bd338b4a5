//! What is known of objects of Git LFS that nobody gave.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use sprint_core::ids::RepoName;
use sprint_core::lfs::LfsObject;

use crate::git::GitRepo;

/// Missing objects that are remembered of a repo.
const MOST_KNOWN: usize = 10_000;

/// Objects that could not be had, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingObjects {
    pub objects: BTreeSet<LfsObject>,
    pub why: String,
    /// Whether somebody has said that they are not there, rather than nothing.
    pub is_refused: bool,
}

/// The objects that somebody needed of each repo, and that could not be had.
#[derive(Debug, Default)]
pub(crate) struct LfsMissing {
    known: Mutex<HashMap<RepoName, MissingObjects>>,
}

impl LfsMissing {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<RepoName, MissingObjects>) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those of a repo that are still not here.
    pub(crate) fn of(&self, repo: &RepoName, git: &GitRepo) -> Option<MissingObjects> {
        let store = git.lfs();
        self.with(|all| {
            let known = all.get_mut(repo)?;
            known.objects.retain(|object| !store.has(object));
            let known = known.clone();
            if known.objects.is_empty() {
                all.remove(repo);
            }
            Some(known).filter(|known| !known.objects.is_empty())
        })
    }

    pub(super) fn note(&self, repo: &RepoName, missing: &MissingObjects) {
        if missing.objects.is_empty() {
            return;
        }
        self.with(|all| {
            let known = all.entry(repo.clone()).or_default();
            known.why.clone_from(&missing.why);
            known.is_refused = missing.is_refused;
            let room = MOST_KNOWN.saturating_sub(known.objects.len());
            known.objects.extend(missing.objects.iter().take(room).cloned());
        });
    }

    pub(crate) fn forget(&self, repo: &RepoName) {
        self.with(|all| all.remove(repo));
    }
}
