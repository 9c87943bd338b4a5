//! How often snapshots are taken, and how many at once.

use std::time::Duration;

use tokio::sync::{Semaphore, watch};

/// How many are taken at once: they must not take the host from the workers.
const AT_ONCE: usize = 2;

/// When snapshots are taken, for all workers.
#[derive(Debug)]
pub(crate) struct SnapshotPace {
    /// Zero: never.
    pub(super) every: watch::Sender<Duration>,
    pub(super) turns: Semaphore,
}

impl Default for SnapshotPace {
    fn default() -> Self {
        Self { every: watch::Sender::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl SnapshotPace {
    pub(crate) fn set(&self, every: Duration) {
        self.every.send_if_modified(|known| std::mem::replace(known, every) != every);
    }
}
