//! The one writer: takes waiting transactions together, commits them with one fsync,
//! and answers each after the commit. On SQLite a caller that is alone does this itself.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sprint_failpoint::{Point, pass};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::block_in_place;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::StoreError;
use super::notice::Notices;
use super::tx::Tx;
use crate::clock::Time;
use crate::metrics::METRICS;

/// Transactions that share a commit at most: beyond this a batch's own time exceeds the fsync it saves.
const BATCH: usize = 256;

/// Transactions that wait at most; callers beyond are held back.
const QUEUE: usize = 1024;

type Job = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Answer> + Send>;

type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The result of a job, and the reply to its caller after the commit.
struct Answer {
    keep: bool,
    reply: Reply,
}

/// What a batch is run on: by the writer's thread, or by a caller that is alone.
struct Record {
    /// None when it is closed, and for good after a panic outside of a job: what was decided is then not known.
    tx: Mutex<Option<Box<Tx>>>,
    notices: Arc<Notices>,
    time: Arc<Time>,
    /// Whether the last batch held one job: more callers share a commit only if they wait for the thread.
    is_quiet: AtomicBool,
    /// Notified when a batch has found the database away.
    went_away: Notify,
}

/// Hands transactions to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    record: Arc<Record>,
    /// Whether the database is in this process: its jobs wait for the disk and nothing else.
    is_embedded: bool,
}

impl Writer {
    /// Starts the writer on a thread of its own, which SQLite may block; it ends when every handle is gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(tx: Tx, notices: Arc<Notices>, time: Arc<Time>) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (ended, end) = oneshot::channel();
        let is_embedded = tx.is_embedded();
        let (tx, is_quiet) = (Mutex::new(Some(Box::new(tx))), AtomicBool::new(true));
        let record = Arc::new(Record { tx, notices, time, is_quiet, went_away: Notify::new() });
        let (runtime, shared) = (Handle::current(), Arc::clone(&record));
        std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            runtime.block_on(shared.serve(queue));
            let _ = ended.send(());
        })?;
        Ok((Self { jobs, record, is_embedded }, end))
    }

    pub(crate) async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            Box::pin(async move {
                let result = job(tx).await;
                Answer {
                    keep: result.is_ok(),
                    reply: Box::new(move |committed| {
                        // A caller that went away does not take the commit back.
                        let _ = sender.send(committed.map_err(E::from).and(result));
                    }),
                }
            })
        });
        // From here to the commit; level debug, since there is one for each write.
        let span = tracing::debug_span!("transaction");
        let committed = async {
            if let Some(job) = self.run_in_place(job) {
                self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
            }
            receiver.await.map_err(|_| StoreError::Closed)?
        };
        committed.instrument(span).await
    }

    /// Runs a job whose caller is alone, which saves two wakes of sleeping threads; gives any other back.
    fn run_in_place(&self, job: Job) -> Option<Job> {
        let is_alone = self.jobs.capacity() == self.jobs.max_capacity() && self.record.is_quiet.load(Ordering::Relaxed);
        if !self.is_embedded || !is_alone {
            return Some(job);
        }
        // A runtime of one thread would stand still meanwhile.
        let Some(runtime) = Handle::try_current().ok().filter(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread)
        else {
            return Some(job);
        };
        let Ok(mut tx) = self.record.tx.try_lock() else { return Some(job) };
        let outcome = block_in_place(|| runtime.block_on(self.record.run(&mut tx, &mut vec![job])));
        drop(tx);
        outcome.answer();
        None
    }
}

/// The pause before a database that is away is tried again.
const AWAY: Duration = Duration::from_millis(500);

impl Record {
    /// Runs what waits until every handle is gone, and closes the database.
    async fn serve(&self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                first = queue.recv() => match first {
                    Some(job) => jobs.push(job),
                    None => break,
                },
                // The loops go on when the database is back, also if there is no call.
                () = self.pause() => {
                    self.try_again().await;
                    continue;
                }
            }
            // Others may come while a caller holds it, and share the commit.
            let mut tx = self.tx.lock().await;
            while jobs.len() < BATCH
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            self.is_quiet.store(jobs.len() == 1, Ordering::Relaxed);
            let outcome = self.run(&mut tx, &mut jobs).await;
            drop(tx);
            outcome.answer();
        }
        match self.tx.lock().await.take() {
            None => tracing::error!("a panic has ended the record"),
            Some(tx) => {
                if let Err(error) = tx.close().await {
                    tracing::warn!(%error, "the database did not close cleanly");
                }
            }
        }
    }

    /// Ends when a database that is away is to be tried again.
    async fn pause(&self) {
        self.went_away.notified().await;
        tokio::time::sleep(AWAY).await;
    }

    async fn try_again(&self) {
        let mut tx = self.tx.lock().await;
        let Some(tx) = tx.as_mut().filter(|tx| tx.is_away()) else { return };
        if tx.abandon().await.is_ok() {
            self.notices.wake_all();
        } else {
            self.went_away.notify_one();
        }
    }

    /// Runs jobs as one batch.
    async fn run(&self, held: &mut Option<Box<Tx>>, jobs: &mut Vec<Job>) -> Outcome {
        let Some(mut tx) = held.take() else {
            // Their callers are told that it is closed.
            jobs.clear();
            return Outcome { replies: vec![], committed: Ok(()) };
        };
        let was_away = tx.is_away();
        tx.start_batch(self.time.now()).await;
        if was_away && !tx.is_away() {
            self.notices.wake_all();
        }
        let count = jobs.len();
        let span =
            tracing::debug_span!(parent: None, "commit", transactions = count, last_event = Empty, result = Empty);
        let outcome = batch(&mut tx, jobs, &self.notices).instrument(span).await;
        if tx.is_away() {
            self.went_away.notify_one();
        }
        *held = Some(tx);
        outcome
    }
}

/// What became of a batch, and who is to be told.
#[must_use]
struct Outcome {
    replies: Vec<Reply>,
    committed: Result<(), StoreError>,
}

impl Outcome {
    /// Answers each caller. For when the record is free again: a caller that is answered while it is still held
    /// finds it so with its next write, which then goes to the thread, and so does each one after it.
    fn answer(self) {
        for reply in self.replies {
            reply(self.committed.as_ref().map(|&()| ()).map_err(StoreError::of_batch));
        }
    }
}

/// Runs the jobs of a batch and commits them.
async fn batch(tx: &mut Tx, jobs: &mut Vec<Job>, notices: &Notices) -> Outcome {
    let mut replies = Vec::with_capacity(jobs.len());
    for job in jobs.drain(..) {
        // A job that panics is a bug of that job; it must not take the record down with it.
        match AssertUnwindSafe(job(tx)).catch_unwind().await {
            Ok(Answer { keep, reply }) => {
                tx.end_job(keep);
                replies.push(reply);
            }
            Err(_panic) => tx.end_job(false),
        }
    }
    pass(Point::CommitBefore);
    METRICS.batch.only().observe(f64::from(u32::try_from(replies.len()).unwrap_or(u32::MAX)));
    let began = Instant::now();
    let committed = tx.commit().await;
    let result = if committed.is_ok() { "committed" } else { "failed" };
    Span::current().record("result", result);
    METRICS.commit.of(result).observe(began.elapsed().as_secs_f64());
    match committed {
        Ok(committed) => {
            pass(Point::CommitAfter);
            Span::current().record("last_event", committed.last.get());
            notices.committed(committed.last);
            for notice in &committed.notices {
                notices.wake(notice);
            }
            Outcome { replies, committed: Ok(()) }
        }
        Err(error) => {
            tracing::error!(%error, transactions = replies.len(), "a commit failed");
            if let Err(error) = tx.abandon().await {
                tracing::error!(%error, "the database does not answer");
            } else {
                // The live rows were read again: the commit may have been made.
                notices.wake_all();
            }
            Outcome { replies, committed: Err(error) }
        }
    }
}
