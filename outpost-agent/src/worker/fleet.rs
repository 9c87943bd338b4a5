//! The workers of this outpost: taken on, found again after a restart, looked up.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sprint_core::ids::WorkerId;
use sprint_core::job::{Assignment, Report};
use tokio::sync::{Notify, mpsc};

use super::journal::{Journal, Recorded};
use super::life::Stop;
use super::reporter::{self, Entry};
use super::task::{Life, Origin};
use super::told::Told;
use crate::agent::Agent;
use crate::disk::{self, Durability};
use crate::paths::WorkerDir;

/// More than a worker ever has on its way: five reports and their acknowledgements.
const ENTRIES: usize = 64;

/// What others know of a worker and say to it.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) assignment: Assignment,
    pub(crate) dir: WorkerDir,
    /// Something changed: look again.
    pub(crate) wake: Arc<Notify>,
    pub(crate) entries: mpsc::Sender<Entry>,
    stop: Mutex<Option<Stop>>,
    forgotten: AtomicBool,
    /// Its end was refused by the coordinator, which then takes no log either.
    disowned: AtomicBool,
    finished: AtomicBool,
    /// Taken on by this run of the agent, and nothing of its log sent yet.
    unshipped: AtomicBool,
    /// Log bytes that are on the coordinator's disk.
    durable_log: AtomicU64,
}

impl Cell {
    fn new(assignment: Assignment, dir: WorkerDir, entries: mpsc::Sender<Entry>, origin: Origin) -> Self {
        Self {
            assignment,
            dir,
            wake: Arc::default(),
            entries,
            stop: Mutex::default(),
            forgotten: AtomicBool::new(false),
            disowned: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            unshipped: AtomicBool::new(origin == Origin::Assigned),
            durable_log: AtomicU64::new(0),
        }
    }

    pub(crate) fn id(&self) -> WorkerId {
        self.assignment.worker
    }

    pub(crate) fn stop(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to end; the first reason stays.
    pub(crate) fn request_stop(&self, why: Stop) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.is_some() || self.is_finished() {
            return;
        }
        let content = serde_json::to_vec(&why).unwrap_or_default();
        if let Err(error) = disk::write_atomic(&self.dir.stop(), &content, Durability::Process) {
            tracing::warn!(worker = %self.id(), %error, "a request to stop cannot be written down");
        }
        *stop = Some(why);
        drop(stop);
        self.wake.notify_one();
    }

    pub(crate) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Relaxed)
    }

    pub(crate) fn is_disowned(&self) -> bool {
        self.disowned.load(Ordering::Relaxed)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    pub(crate) fn set_finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn durable_log(&self) -> u64 {
        self.durable_log.load(Ordering::Relaxed)
    }

    pub(crate) fn set_durable_log(&self, bytes: u64) {
        self.durable_log.fetch_max(bytes, Ordering::Relaxed);
        if self.is_finished() {
            self.wake.notify_one();
        }
    }

    /// Whether the coordinator can have nothing of its log; true once at most.
    pub(crate) fn claim_first_shipment(&self) -> bool {
        self.unshipped.swap(false, Ordering::Relaxed)
    }

    /// A report arrived, or was refused for good.
    pub(crate) fn acknowledged(&self, seq: u64, refused: Option<&str>) {
        if let Some(reason) = refused {
            tracing::warn!(worker = %self.id(), seq, reason, "the coordinator refused a report; it is not sent again");
            if self.is_finished() {
                self.disowned.store(true, Ordering::Relaxed);
            }
        }
        // When there is no room the report is sent once more after a restart.
        self.entries.try_send(Entry::Acked(seq)).ok();
        self.wake.notify_one();
    }
}

/// Every worker that this outpost has anything of.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    cells: Mutex<BTreeMap<WorkerId, Arc<Cell>>>,
    removed: Notify,
    added: Notify,
}

impl Fleet {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Arc<Cell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, worker: WorkerId) -> Option<Arc<Cell>> {
        self.lock().get(&worker).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        self.lock().values().cloned().collect()
    }

    /// Those that hold a slot.
    pub(crate) fn active(&self) -> usize {
        self.lock().values().filter(|cell| !cell.is_finished()).count()
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

/// Takes an assignment; one that is here already is told of again.
pub(crate) fn assign(agent: &Arc<Agent>, assignment: Assignment) {
    let worker = assignment.worker;
    let dir = agent.data.worker(worker);
    let mut cells = agent.fleet.lock();
    if cells.contains_key(&worker) {
        drop(cells);
        tracing::debug!(%worker, "assigned again");
        agent.outbox.resend(worker);
        return;
    }
    let (entries, receiver) = mpsc::channel(ENTRIES);
    let cell = Arc::new(Cell::new(assignment, dir.clone(), entries, Origin::Assigned));
    cells.insert(worker, cell.clone());
    drop(cells);
    agent.fleet.added.notify_one();
    tracing::info!(
        %worker,
        item = %cell.assignment.item,
        attempt = %cell.assignment.attempt,
        role = %cell.assignment.role,
        "assigned"
    );
    agent.spawn(reporter::run(Journal::new(dir.journal()), receiver, agent.outbox.clone()));
    agent.spawn(Life::new(agent.clone(), cell, Told::default(), Origin::Assigned).run());
}

/// Finds the workers that an earlier run of the agent has left, and goes on with them.
///
/// # Errors
/// The directory of workers cannot be read.
pub(crate) fn adopt(agent: &Arc<Agent>) -> io::Result<()> {
    for entry in fs::read_dir(agent.data.workers())? {
        let path = entry?.path();
        match read(&path) {
            Ok(Some(found)) => start_adopted(agent, found),
            // It ended before it had promised anything.
            Ok(None) => {
                if let Err(error) = disk::discard(&path, &agent.data.trash()) {
                    tracing::warn!(path = %path.display(), %error, "an unfinished directory cannot be removed");
                }
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a worker's directory cannot be read; it is left alone");
            }
        }
    }
    Ok(())
}

/// A worker's directory, read back.
struct Found {
    assignment: Assignment,
    dir: WorkerDir,
    journal: Journal,
    recorded: Recorded,
    stop: Option<Stop>,
}

fn read(path: &Path) -> io::Result<Option<Found>> {
    let dir = WorkerDir::new(path.to_owned());
    let content = match fs::read(dir.assignment()) {
        Ok(content) => content,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let assignment: Assignment = serde_json::from_slice(&content)?;
    if path.file_name().and_then(|name| name.to_str()) != Some(&assignment.worker.to_string()) {
        return Err(io::Error::other("its assignment is another worker's"));
    }
    let (journal, recorded) = Journal::load(dir.journal())?;
    let stop = fs::read(dir.stop()).ok().and_then(|content| serde_json::from_slice(&content).ok());
    Ok(Some(Found { assignment, dir, journal, recorded, stop }))
}

fn start_adopted(agent: &Arc<Agent>, found: Found) {
    let Found { assignment, dir, journal, recorded, stop } = found;
    let worker = assignment.worker;
    let told = Told::from_reports(&recorded.reports);
    for report in recorded.reports.into_iter().filter(|report: &Report| report.seq > recorded.acked) {
        agent.outbox.push(report);
    }
    let (entries, receiver) = mpsc::channel(ENTRIES);
    let cell = Cell::new(assignment, dir, entries, Origin::Adopted);
    if told.is_finished() {
        cell.set_finished();
    }
    *cell.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
    let cell = Arc::new(cell);
    agent.fleet.lock().insert(worker, cell.clone());
    agent.fleet.added.notify_one();
    tracing::info!(%worker, finished = told.is_finished(), "found on disk; going on with it");
    agent.spawn(reporter::run(journal, receiver, agent.outbox.clone()));
    agent.spawn(Life::new(agent.clone(), cell, told, Origin::Adopted).run());
}
