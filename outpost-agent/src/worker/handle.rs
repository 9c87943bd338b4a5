//! The handle of a worker for the rest of the agent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sprint_core::assignment::Assignment;
use sprint_core::ids::{ItemId, WorkerId};
use tokio::sync::{Notify, mpsc};

use super::decide::Stop;
use super::notes::{Answer, Notes};
use super::reporter::Entry;
use crate::host::disk::{self, Durability};
use crate::host::paths::WorkerDir;
use crate::redactor::Redactor;

/// How the agent came by a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Assigned,
    /// Found on disk at the agent's start.
    Adopted,
}

/// The shared state of a worker, and the requests to it.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    pub(crate) assignment: Assignment,
    pub(crate) dir: WorkerDir,
    /// Something changed: look again.
    pub(crate) wake: Arc<Notify>,
    pub(crate) entries: mpsc::Sender<Entry>,
    /// What it says of its own accord.
    pub(crate) notes: Notes,
    /// Hides its secrets.
    pub(crate) redactor: Redactor,
    stop: Mutex<Option<Stop>>,
    forgotten: AtomicBool,
    /// Its end was refused by the coordinator, which then takes no log either.
    disowned: AtomicBool,
    /// The number of the report of its end, once that is made; 0 before.
    finished: AtomicU64,
    /// Taken on by this run of the agent, and nothing of its log sent yet.
    unshipped: AtomicBool,
    /// Log bytes that are on the coordinator's disk.
    durable_log: AtomicU64,
}

impl WorkerHandle {
    pub(super) fn new(assignment: Assignment, dir: WorkerDir, entries: mpsc::Sender<Entry>, origin: Origin) -> Self {
        let redactor = match origin {
            Origin::Assigned => Redactor::of(&assignment.secrets),
            Origin::Adopted => Redactor::load(&dir.secrets()).unwrap_or_else(|error| {
                tracing::error!(worker = %assignment.worker, %error, "its secrets cannot be read; nothing that it says is kept");
                Redactor::blind()
            }),
        };
        Self {
            assignment,
            dir,
            wake: Arc::default(),
            entries,
            notes: Notes::default(),
            redactor,
            stop: Mutex::default(),
            forgotten: AtomicBool::new(false),
            disowned: AtomicBool::new(false),
            finished: AtomicU64::new(0),
            unshipped: AtomicBool::new(origin == Origin::Assigned),
            durable_log: AtomicU64::new(0),
        }
    }

    /// Remembers what an earlier run of the agent was progress.
    pub(super) fn restore_stop(&self, stop: Option<Stop>) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
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
            tracing::warn!(worker = %self.id(), %error, "a request to stop cannot be written to the disk");
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
        self.finished.load(Ordering::Relaxed) > 0
    }

    /// Its end is reported, by the report of this number.
    pub(crate) fn set_finished(&self, seq: u64) {
        self.finished.store(seq, Ordering::Relaxed);
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
    pub(crate) fn acknowledged(&self, seq: u64, refused: Option<&str>, item: Option<ItemId>) {
        let answer = refused.map_or(Answer::Taken(item), |why| Answer::Refused(why.to_owned()));
        self.notes.answered(seq, answer);
        if let Some(reason) = refused {
            tracing::warn!(worker = %self.id(), seq, reason, "the coordinator refused a report; it is not sent again");
            // What it has said before may be refused while its end is taken.
            if self.finished.load(Ordering::Relaxed) == seq {
                self.disowned.store(true, Ordering::Relaxed);
            }
        }
        // If the channel is full the report is sent again after a restart.
        self.entries.try_send(Entry::Acked(seq)).ok();
        self.wake.notify_one();
    }
}
