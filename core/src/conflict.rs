//! A conflict: a change that came back because it does not merge, and who is to resolve it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::change::{Change, ChangeEvent, in_paths};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, work_ref};
use crate::job::EarlierWork;

/// What an item has to resolve before its work can land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The change that does not merge with the target branch.
    pub change: ChangeId,
    /// The attempt that made it; its branch is kept under its ref.
    pub attempt: Attempt,
    /// Where that branch ends.
    pub head: CommitId,
    /// None where only a branch that holds the tip may land.
    pub paths: Vec<String>,
    /// The items whose landed work conflicts with it, as far as they are known.
    pub others: Vec<ItemId>,
}

impl Conflict {
    /// What a change that leaves the queue by `event` leaves to be resolved, if that is why it leaves.
    pub fn of(change: &Change, event: &ChangeEvent) -> Option<Self> {
        let ChangeEvent::Conflicted { paths, others } = event else { return None };
        Some(Self {
            change: change.id,
            attempt: change.attempt,
            head: change.head.clone(),
            paths: paths.clone(),
            others: others.clone(),
        })
    }

    /// What a resolver of it starts from, whatever the repo's retries do: the branch that does not merge.
    pub fn start(&self, item: ItemId) -> EarlierWork {
        let Self { attempt, head, .. } = self;
        EarlierWork { attempt: *attempt, commit: head.clone(), uncommitted: None, from_ref: work_ref(item, *attempt) }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, attempt, head: _, paths, others } = self;
        write!(f, "change {change} of attempt {attempt} {}", in_paths(paths))?;
        if !others.is_empty() {
            write!(f, ", with {}", items(others))?;
        }
        Ok(())
    }
}

/// Items by their numbers.
pub fn items(ids: &[ItemId]) -> String {
    ids.iter().map(|id| format!("item {id}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "conflict_tests.rs"]
mod tests;
