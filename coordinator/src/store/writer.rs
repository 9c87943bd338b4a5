//! The one writer: takes waiting transactions together, commits them with one fsync,
//! and answers each after the commit.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sprint_failpoint::{Point, pass};
use tokio::sync::{mpsc, oneshot};
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

/// The result of a job, and the reply to its caller after the commit.
struct Answer {
    keep: bool,
    reply: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// Hands transactions to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer on a thread of its own, which SQLite may block; it ends when every handle is gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(tx: Tx, notices: Arc<Notices>, time: Arc<Time>) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (ended, end) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            runtime.block_on(run(tx, queue, notices, time));
            let _ = ended.send(());
        })?;
        Ok((Self { jobs }, end))
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
            self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
            receiver.await.map_err(|_| StoreError::Closed)?
        };
        committed.instrument(span).await
    }
}

/// The pause before a database that is away is tried again.
const AWAY: Duration = Duration::from_millis(500);

async fn run(mut tx: Tx, mut queue: mpsc::Receiver<Job>, notices: Arc<Notices>, time: Arc<Time>) {
    let mut jobs = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            received = queue.recv_many(&mut jobs, BATCH) => received,
            // The loops go on when the database is back, also if there is no call.
            () = tokio::time::sleep(AWAY), if tx.is_away() => {
                if tx.abandon().await.is_ok() {
                    notices.wake_all();
                }
                continue;
            }
        };
        if received == 0 {
            break;
        }
        let was_away = tx.is_away();
        tx.start_batch(time.now()).await;
        if was_away && !tx.is_away() {
            notices.wake_all();
        }
        let span = tracing::debug_span!("commit", transactions = jobs.len(), last_event = Empty, result = Empty);
        batch(&mut tx, &mut jobs, &notices).instrument(span).await;
    }
    if let Err(error) = tx.close().await {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

/// Runs the jobs of a batch, commits them, and answers each.
async fn batch(tx: &mut Tx, jobs: &mut Vec<Job>, notices: &Notices) {
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
            for reply in replies {
                reply(Ok(()));
            }
        }
        Err(error) => {
            tracing::error!(%error, transactions = replies.len(), "a commit failed");
            if let Err(error) = tx.abandon().await {
                tracing::error!(%error, "the database does not answer");
            } else {
                // The live rows were read again: the commit may have been made.
                notices.wake_all();
            }
            for reply in replies {
                reply(Err(error.of_batch()));
            }
        }
    }
}
