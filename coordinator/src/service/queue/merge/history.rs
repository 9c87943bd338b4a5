//! The recent outcomes of a repo's changes, and the prior that they give to those in its queue.

use std::collections::{HashMap, HashSet};

use sprint_core::change::{Change, ChangeState};
use sprint_core::footprint::{Footprint, Rules};
use sprint_core::ids::{ChangeId, CommitId};
use sprint_core::merge_queue::prior::{Past, Prior, prior};
use sprint_core::merge_queue::snapshot::Contents;
use sprint_core::repo::Repo;

use crate::git::{GitError, GitRepo};
use crate::service::ServiceError;
use crate::store::Store;

/// The number of recent changes that the rates come from.
const LATEST: u32 = 100;

/// The number of newly settled changes after which every prior is computed again.
const NEWS: usize = 8;

#[derive(Default)]
pub(crate) struct History {
    past: Vec<Past>,
    /// The changes that `past` is of.
    settled: HashSet<ChangeId>,
    priors: HashMap<ChangeId, Prior>,
    is_fresh: bool,
}

impl History {
    /// What has settled since is looked at before the next use.
    pub(crate) const fn forget(&mut self) {
        self.is_fresh = false;
    }

    pub(crate) fn forget_prior(&mut self, change: ChangeId) {
        self.priors.remove(&change);
    }

    pub(crate) async fn load(
        &mut self,
        store: &Store,
        git: &GitRepo,
        repo: &Repo,
        tip: &CommitId,
        rules: &Rules,
        contents: &Contents,
    ) -> Result<(), ServiceError> {
        if self.is_fresh {
            return Ok(());
        }
        self.is_fresh = true;
        let latest = store.settled_changes(&repo.name, LATEST).await?;
        let news = latest.iter().filter(|change| !self.settled.contains(&change.id)).count();
        if news >= NEWS || self.settled.is_empty() {
            let past = latest.iter().map(|change| past(git, tip, rules, contents, change));
            let past = past.collect::<Result<Vec<_>, _>>()?;
            self.past = past.into_iter().flatten().collect();
            self.settled = latest.into_iter().map(|change| change.id).collect();
            self.priors.clear();
        }
        Ok(())
    }

    /// What is held of a change that touches this.
    pub(crate) fn prior(&mut self, change: &Change, footprint: &Footprint) -> Prior {
        *self.priors.entry(change.id).or_insert_with(|| prior(&self.past, change.role, footprint))
    }

    pub(crate) const fn priors(&self) -> &HashMap<ChangeId, Prior> {
        &self.priors
    }
}

/// What a settled change says; nothing if it was not its gates that decided.
fn past(
    git: &GitRepo,
    tip: &CommitId,
    rules: &Rules,
    contents: &Contents,
    change: &Change,
) -> Result<Option<Past>, ServiceError> {
    let (good, base) = match &change.state {
        ChangeState::Landed { .. } if contents.knows(change.id) => {
            let footprint = contents.footprint(change.id).clone();
            return Ok(Some(Past { role: change.role, footprint, good: true }));
        }
        // A branch that landed began where the tip of then did.
        ChangeState::Landed { candidate } => (true, git.merge_base(&candidate.base, &change.head)?),
        ChangeState::Failed { .. } if git.holds(&change.head)? => {
            (false, git.parting(tip, &change.head)?.bases.into_iter().next())
        }
        ChangeState::Failed { .. }
        | ChangeState::Conflicted { .. }
        | ChangeState::Queued
        | ChangeState::Landing { .. } => return Ok(None),
    };
    let paths = match git.changed_paths(base.as_ref(), &change.head) {
        // It was sent back for that, and no other is like it.
        Err(GitError::Beyond { .. }) => return Ok(None),
        paths => paths?,
    };
    let footprint = rules.footprint(paths.iter().map(String::as_str));
    Ok(Some(Past { role: change.role, footprint, good }))
}
