//! What a worker's life tells: its reports, and what the worker says of its own accord, one after the other.

use sprint_core::assignment::ReportBody;
use tokio::sync::oneshot;

use super::life::Life;
use super::notes::{Answer, Pending};
use super::reporter::Entry;

impl Life {
    /// Hands a report on; it is recorded and sent in its turn.
    pub(super) async fn tell(&mut self, body: ReportBody) {
        self.report(body, None).await;
    }

    /// Hands a report on and waits until it is on the disk.
    pub(super) async fn tell_for_sure(&mut self, body: ReportBody) {
        let (recorded, done) = oneshot::channel();
        self.report(body, Some(recorded)).await;
        done.await.ok();
    }

    /// Reports what it has said of its own accord.
    pub(super) async fn pass_on_notes(&mut self) {
        let handle = self.handle.clone();
        while let Some(Pending { note, answer }) = handle.notes.next() {
            if let Err(why) = self.progress.notes.admit_any(&note) {
                handle.notes.refused(&why);
                answer.send(Answer::Refused(why)).ok();
                continue;
            }
            let before = self.progress.clone();
            let report = self.progress.tell(&handle.assignment, ReportBody::Noted { note });
            handle.notes.await_answer(report.seq, answer.clone());
            let (kept, is_kept) = oneshot::channel();
            handle.entries.send(Entry::Note { report: Box::new(report), kept }).await.ok();
            if is_kept.await == Ok(true) {
                answer.send(Answer::Kept).ok();
            } else {
                // It was not said: the next report has its number.
                self.progress = before;
                answer.send(Answer::Refused("the outpost's disk is full; say it again later".to_owned())).ok();
            }
        }
    }

    async fn report(&mut self, mut body: ReportBody, recorded: Option<oneshot::Sender<()>>) {
        self.handle.redactor.report(&mut body);
        let report = self.progress.tell(&self.handle.assignment, body);
        if self.handle.entries.send(Entry::Report { report: Box::new(report), recorded }).await.is_err() {
            tracing::error!(worker = %self.handle.id(), "a report could not be recorded");
        }
    }
}
