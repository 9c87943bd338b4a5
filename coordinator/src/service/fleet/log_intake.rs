//! Log bytes from an outpost: appended where the file ends, acknowledged once they are on the disk.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use sprint_core::access::Caller;
use sprint_core::ids::{OutpostName, WorkerId};
use sprint_core::refusal::Noun as _;
use sprint_core::worker::Worker;
use sprint_failpoint::{Point, pass};

use crate::service::admission::audit;
use crate::service::fleet::logs::{LogChunk, OpenLog};
use crate::service::fleet::workers;
use crate::service::{Coordinator, ServiceError, now};

/// Bytes that share one fsync at most.
pub const BATCH_BYTES: usize = 4 << 20;

/// Logs kept open by one stream, and by all of them; each has two files.
const OPEN_LOGS: usize = 256;
const ALL_OPEN_LOGS: usize = 2_048;

/// After how long without output a log is closed: nobody says which output of a worker is the last.
pub const IDLE: Duration = Duration::from_secs(10);

/// What a worker's log holds on the disk: everything before this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAck {
    pub worker: WorkerId,
    pub durable: u64,
}

/// Takes the logs of one outpost's workers.
pub struct LogIntake {
    outpost: OutpostName,
    caller: Caller,
    open: HashMap<WorkerId, Appending>,
}

/// A log that is being written.
struct Appending {
    log: OpenLog,
    since: Instant,
}

impl LogIntake {
    /// Whether a log is open.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Closes the logs to which nothing was written for a while.
    pub fn close_idle(&mut self) {
        self.open.retain(|_, appending| appending.since.elapsed() < IDLE);
    }

    pub fn new(outpost: OutpostName, caller: Caller) -> Self {
        Self { outpost, caller, open: HashMap::new() }
    }

    /// Writes a batch and brings it to the disk; what is acknowledged need not be sent again.
    ///
    /// # Errors
    /// What the store or the file system says; then nothing of the batch is acknowledged.
    pub async fn take(&mut self, sprint: &Coordinator, batch: Vec<LogChunk>) -> Result<Vec<LogAck>, ServiceError> {
        self.close_idle();
        if self.open.len() > OPEN_LOGS || sprint.logs.appending() > ALL_OPEN_LOGS {
            self.open.clear();
        }
        let mut acks = Vec::new();
        for chunk in &batch {
            if self.open.contains_key(&chunk.worker) {
                continue;
            }
            // An outpost writes what its own workers print. One chunk that is for none of them must not hold up
            // the others, so its bytes count as taken.
            if let Some(why) = self.refusal(sprint, chunk.worker).await? {
                audit::refused(sprint, self.caller.clone(), "Link/Logs", &why).await;
                let durable = chunk.offset.saturating_add(chunk.data.len() as u64);
                acks.push(LogAck { worker: chunk.worker, durable });
            } else {
                let log = sprint.logs.append(chunk.worker)?;
                self.open.insert(chunk.worker, Appending { log, since: Instant::now() });
            }
        }
        acks.extend(tokio::task::block_in_place(|| self.write(batch))?);
        pass(Point::LogSynced);
        Ok(acks)
    }

    /// Why the outpost may not write a worker's log.
    async fn refusal(&self, sprint: &Coordinator, id: WorkerId) -> Result<Option<String>, ServiceError> {
        match workers::get(sprint, id).await {
            Ok(worker) if worker.outpost == self.outpost => Ok(None),
            Ok(_) => Ok(Some(format!("worker {id} is not one of this outpost's"))),
            Err(error) if error.code() == Worker::NOT_FOUND => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Writes what is for an open log; one sync for each.
    fn write(&mut self, batch: Vec<LogChunk>) -> io::Result<Vec<LogAck>> {
        let now = now();
        let mut touched = Vec::new();
        for LogChunk { worker, offset, data } in batch {
            if let Some(Appending { log, since }) = self.open.get_mut(&worker) {
                log.write(offset, &data, now)?;
                *since = Instant::now();
                if !touched.contains(&worker) {
                    touched.push(worker);
                }
            }
        }
        let mut acks = Vec::with_capacity(touched.len());
        for worker in touched {
            if let Some(Appending { log, since: _ }) = self.open.get_mut(&worker) {
                pass(Point::LogWritten);
                log.sync()?;
                acks.push(LogAck { worker, durable: log.durable() });
            }
        }
        Ok(acks)
    }
}
