//! Learns from the kernel when something happens in a worker's directory.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use sprint_core::ids::WorkerId;
use tokio::sync::Notify;

use super::paths::WorkerDir;

/// Workers of which something is new: their logs have grown, say.
#[derive(Debug, Default)]
pub(crate) struct News {
    workers: Mutex<BTreeSet<WorkerId>>,
    wake: Notify,
}

impl News {
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
pub(crate) struct FileWatch {
    watcher: Mutex<RecommendedWatcher>,
    wakes: Arc<Wakes>,
}

impl std::fmt::Debug for FileWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWatch").finish_non_exhaustive()
    }
}

impl FileWatch {
    /// # Errors
    /// inotify is not available.
    pub(crate) fn new(growth: Arc<News>, said: Arc<News>) -> notify::Result<Self> {
        let wakes = Arc::new(Wakes::default());
        let seen = wakes.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => wake_all(&seen, &growth),
            Ok(event) => match event.kind {
                EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                    for path in &event.paths {
                        came(&seen, &growth, &said, path);
                    }
                }
                EventKind::Modify(
                    ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Metadata(_) | ModifyKind::Other,
                ) => {
                    for path in &event.paths {
                        changed(&growth, path);
                    }
                }
                EventKind::Any | EventKind::Access(_) | EventKind::Remove(_) | EventKind::Other => {}
            },
            Err(error) => {
                tracing::warn!(%error, "inotify reports an error");
                wake_all(&seen, &growth);
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

/// A file appeared, under its own name or by a rename.
fn came(wakes: &Wakes, growth: &News, said: &News, path: &Path) {
    let Some((worker, name)) = worker_and_name(path) else { return };
    if name == LOG {
        growth.add(worker);
    } else if name == AGENT {
        said.add(worker);
    } else if is_telling(name)
        && let Some(wake) = lock(wakes).get(&worker)
    {
        wake.notify_one();
    }
}

/// A file's content changed: of interest for logs only.
fn changed(growth: &News, path: &Path) {
    if let Some((worker, LOG)) = worker_and_name(path) {
        growth.add(worker);
    }
}

const LOG: &str = "terminal.log";
const AGENT: &str = "agent.json";

/// Whether a worker must look again when this file comes: each look asks tmux, so
/// that the agent's own files do not count.
fn is_telling(name: &str) -> bool {
    name.starts_with("exit") || name.starts_with("log-")
}

fn worker_and_name(path: &Path) -> Option<(WorkerId, &str)> {
    let worker = path.parent()?.file_name()?.to_str()?.parse().ok()?;
    Some((worker, path.file_name()?.to_str()?))
}

fn wake_all(wakes: &Wakes, growth: &News) {
    for (worker, wake) in lock(wakes).iter() {
        growth.add(*worker);
        wake.notify_one();
    }
}
