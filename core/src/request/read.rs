use std::time::Duration;

use crate::event::Seq;
use crate::ids::{ChangeId, ItemId, OutpostName, RepoName, WorkerId};
use crate::item::{Item, StageName};

/// Which items to list; what is absent does not matter.
#[derive(Debug, Clone, Default)]
pub struct ItemFilter {
    pub repo: Option<RepoName>,
    pub stages: Vec<StageName>,
    /// An item must have all of them.
    pub labels: Vec<String>,
    pub parent: Option<ItemId>,
    /// The largest number of items; the newest are kept.
    pub limit: Option<u32>,
    /// Only those with smaller numbers.
    pub before: Option<ItemId>,
}

impl ItemFilter {
    /// Whether an item is wanted, whatever the limit.
    pub fn matches(&self, item: &Item) -> bool {
        let Self { repo, stages, labels, parent, limit: _, before } = self;
        repo.as_ref().is_none_or(|repo| item.repo == *repo)
            && (stages.is_empty() || stages.contains(&item.stage.name()))
            && labels.iter().all(|label| item.labels.contains(label))
            && parent.is_none_or(|parent| item.parent == Some(parent))
            && before.is_none_or(|before| item.id < before)
    }

    /// The newest of the items that were found, as many as are wanted.
    pub fn newest<T>(&self, mut found: Vec<T>) -> Vec<T> {
        let older = self.limit.and_then(|limit| found.len().checked_sub(usize::try_from(limit).ok()?));
        found.drain(..older.unwrap_or_default());
        found
    }
}

/// Which workers to list; what is absent does not matter.
#[derive(Debug, Clone, Default)]
pub struct WorkerFilter {
    pub item: Option<ItemId>,
    pub outpost: Option<OutpostName>,
    pub repo: Option<RepoName>,
    pub live: bool,
    pub limit: Option<u32>,
    /// Only those with smaller numbers.
    pub before: Option<WorkerId>,
}

/// Which changes to list; what is absent does not matter.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    pub repo: Option<RepoName>,
    pub item: Option<ItemId>,
    pub pending: bool,
    pub limit: Option<u32>,
    /// Only those with smaller numbers.
    pub before: Option<ChangeId>,
}

/// Which events to read, and whether to go on with those to come.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventTail {
    /// Those after this one; absent: those to come.
    pub since: Option<Seq>,
    pub item: Option<ItemId>,
    /// Only those that are part of the audit.
    pub audit: bool,
    pub limit: Option<u32>,
    pub follow: bool,
}

/// Which part of a worker's log to read, and whether to go on with what is still to come.
#[derive(Debug, Clone, Copy)]
pub struct LogRange {
    pub worker: WorkerId,
    /// Bytes to skip.
    pub offset: u64,
    /// Only what arrived within this time.
    pub since: Option<Duration>,
    pub follow: bool,
}
