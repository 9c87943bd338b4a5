//! The workers of this outpost, by their numbers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sprint_core::ids::WorkerId;
use tokio::sync::Notify;

use super::handle::WorkerHandle;

/// The result of taking a worker in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addition {
    Added,
    AlreadyPresent,
}

/// Every worker that this outpost has anything of.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    handles: Mutex<BTreeMap<WorkerId, Arc<WorkerHandle>>>,
    removed: Notify,
    added: Notify,
}

impl Fleet {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Arc<WorkerHandle>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a worker in, unless it is here already.
    pub(super) fn add(&self, handle: Arc<WorkerHandle>) -> Addition {
        match self.lock().entry(handle.id()) {
            Entry::Occupied(_) => return Addition::AlreadyPresent,
            Entry::Vacant(place) => place.insert(handle),
        };
        self.added.notify_one();
        Addition::Added
    }

    pub(crate) fn get(&self, worker: WorkerId) -> Option<Arc<WorkerHandle>> {
        self.lock().get(&worker).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<WorkerHandle>> {
        self.lock().values().cloned().collect()
    }

    /// Those that hold a slot.
    pub(crate) fn active(&self) -> usize {
        self.lock().values().filter(|handle| !handle.is_finished()).count()
    }

    pub(crate) fn remove(&self, worker: WorkerId) {
        self.lock().remove(&worker);
        self.removed.notify_waiters();
    }

    /// Waits until there is a worker more; may also return for no reason.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Waits until no worker is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let removed = self.removed.notified();
            if self.lock().is_empty() {
                return;
            }
            removed.await;
        }
    }
}
