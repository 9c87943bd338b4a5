//! Brings a worker's reports to its journal and then to the outbox, in order.

use std::sync::Arc;
use std::time::Duration;

use sprint_core::assignment::Report;
use sprint_failpoint::{Point, pass};
use tokio::sync::{mpsc, oneshot};

use super::journal::Journal;
use super::outbox::Outbox;

/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Something for the journal.
#[derive(Debug)]
pub(crate) enum Entry {
    Report {
        report: Box<Report>,
        /// Progress once the report is durable, or cannot be made so.
        recorded: Option<oneshot::Sender<()>>,
    },
    /// What it has said of its own accord: it is kept or it is not, and the worker is told which.
    Note {
        report: Box<Report>,
        kept: oneshot::Sender<bool>,
    },
    Acked(u64),
}

/// Runs until every sender of `entries` is gone.
///
/// A report that a full disk refuses is sent all the same: the coordinator must
/// learn of the failure, and after a crash the same report is made again.
pub(crate) async fn run(mut journal: Journal, mut entries: mpsc::Receiver<Entry>, outbox: Arc<Outbox>) {
    let mut batch = vec![];
    loop {
        if journal.is_behind() {
            tokio::select! {
                taken = entries.recv_many(&mut batch, 16) => if taken == 0 { return },
                () = tokio::time::sleep(RETRY) => {}
            }
        } else if entries.recv_many(&mut batch, 16).await == 0 {
            return;
        }
        let mut reports = vec![];
        let mut waiting = vec![];
        let mut note = None;
        for entry in batch.drain(..) {
            match entry {
                Entry::Report { report, recorded } => {
                    let report = Box::new(report.bounded());
                    journal.add_report(&report);
                    reports.push(report);
                    waiting.extend(recorded);
                }
                // The last of its batch: the worker's life waits for what becomes of it.
                Entry::Note { report, kept } if journal.is_behind() => drop((report, kept.send(false))),
                Entry::Note { report, kept } => {
                    let report = Box::new(report.bounded());
                    journal.add_report(&report);
                    note = Some((report, kept));
                }
                Entry::Acked(seq) => journal.add_ack(seq),
            }
        }
        let sync = !reports.is_empty() || note.is_some();
        let flushed = tokio::task::spawn_blocking(move || {
            if sync {
                pass(Point::JournalBefore);
            }
            let result = journal.flush(sync);
            if sync {
                pass(Point::JournalAfter);
            }
            (journal, result)
        })
        .await;
        let Ok((back, result)) = flushed else {
            tracing::error!("writing a journal panicked; this worker's reports end here");
            return;
        };
        journal = back;
        if let Some((report, kept)) = note {
            let is_kept = result.is_ok();
            if is_kept {
                outbox.push(*report);
            } else {
                journal.take_back(&report);
            }
            kept.send(is_kept).ok();
        }
        if let Err(error) = result {
            tracing::warn!(%error, "reports cannot be written to the disk; they are kept in memory and tried again");
        }
        for report in reports {
            outbox.push(*report);
        }
        for recorded in waiting {
            recorded.send(()).ok();
        }
    }
}
