//! Learns from the kernel when something happens in a worker's directory.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use sprint_core::ids::WorkerId;
use tokio::sync::Notify;

use crate::paths::WorkerDir;

/// Workers whose logs may have grown.
#[derive(Debug, Default)]
pub(crate) struct Grown {
    workers: Mutex<BTreeSet<WorkerId>>,
    wake: Notify,
}

impl Grown {
    pub(crate) fn add(&self, worker: WorkerId) {
        let new = self.workers.lock().unwrap_or_else(PoisonError::into_inner).insert(worker);
        if new {
            self.wake.notify_one();
        }
    }

    /// Waits until there is one; may also return for no reason.
    pub(crate) async fn wait(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn take(&self) -> BTreeSet<WorkerId> {
        std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Wakes = Mutex<HashMap<WorkerId, Arc<Notify>>>;

/// One inotify instance for all workers.
pub(crate) struct Watch {
    watcher: Mutex<RecommendedWatcher>,
    wakes: Arc<Wakes>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// # Errors
    /// inotify cannot be had.
    pub(crate) fn new(grown: Arc<Grown>) -> notify::Result<Self> {
        let wakes = Arc::new(Wakes::default());
        let seen = wakes.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => wake_all(&seen, &grown),
            Ok(event) => match event.kind {
                EventKind::Create(_) | EventKind::Modify(_) => {
                    for path in &event.paths {
                        wake_one(&seen, &grown, path);
                    }
                }
                EventKind::Any | EventKind::Access(_) | EventKind::Remove(_) | EventKind::Other => {}
            },
            Err(error) => {
                tracing::warn!(%error, "inotify reports an error");
                wake_all(&seen, &grown);
            }
        })?;
        Ok(Self { watcher: Mutex::new(watcher), wakes })
    }

    /// Begins to watch a worker's directory: `wake` is notified when a file comes.
    ///
    /// # Errors
    /// inotify's, such as a limit that is reached.
    pub(crate) fn add(&self, worker: WorkerId, dir: &WorkerDir, wake: Arc<Notify>) -> notify::Result<()> {
        lock(&self.wakes).insert(worker, wake);
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        watcher.watch(dir.path(), RecursiveMode::NonRecursive)
    }

    pub(crate) fn remove(&self, worker: WorkerId, dir: &WorkerDir) {
        lock(&self.wakes).remove(&worker);
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        // Not watched any more is what is wanted.
        watcher.unwatch(dir.path()).ok();
    }
}

fn lock(wakes: &Wakes) -> MutexGuard<'_, HashMap<WorkerId, Arc<Notify>>> {
    wakes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake_one(wakes: &Wakes, grown: &Grown, path: &Path) {
    let worker = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse::<WorkerId>().ok());
    let Some(worker) = worker else { return };
    if path.file_name().is_some_and(|name| name == "terminal.log") {
        grown.add(worker);
    } else if let Some(wake) = lock(wakes).get(&worker) {
        wake.notify_one();
    }
}

fn wake_all(wakes: &Wakes, grown: &Grown) {
    for (worker, wake) in lock(wakes).iter() {
        grown.add(*worker);
        wake.notify_one();
    }
}
