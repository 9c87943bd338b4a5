//! The reports on a worker that were made so far; everything else follows from them and the disk.

use sprint_core::assignment::{Assignment, Report, ReportBody};
use sprint_core::ids::CommitId;
use sprint_core::note::NoteCount;

/// How far a worker has come, as the coordinator knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    New,
    /// Also once it was sent back: a new round begins.
    Accepted,
    Started,
    Exited,
    Finished,
}

/// The state that a worker's reports add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The newest report's number.
    pub(crate) seq: u64,
    pub(crate) phase: Phase,
    /// Why it was sent back, once for each time.
    pub(crate) sent_back: Vec<String>,
    /// The commits that it had handed over when it was sent back last, if it had only forgotten something.
    pub(crate) handed_over: Option<CommitId>,
    /// What it has said of its own accord.
    pub(crate) notes: NoteCount,
    /// Bytes of the whole log; known once finished.
    pub(crate) log_bytes: u64,
}

impl Progress {
    pub(crate) fn from_reports<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut progress = Self::default();
        for report in reports {
            progress.seq = report.seq;
            progress.note(&report.body);
        }
        progress
    }

    /// The round that runs or is to run: 1, and one more for each time it was sent back.
    pub(crate) fn round(&self) -> u32 {
        u32::try_from(self.sent_back.len()).unwrap_or(u32::MAX - 1) + 1
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Numbers a new report and takes note of it.
    pub(crate) fn tell(&mut self, assignment: &Assignment, body: ReportBody) -> Report {
        self.seq += 1;
        self.note(&body);
        Report { worker: assignment.worker, job: assignment.job.clone(), seq: self.seq, body }
    }

    fn note(&mut self, body: &ReportBody) {
        match body {
            ReportBody::Accepted => self.phase = Phase::Accepted,
            ReportBody::Started { .. } => self.phase = Phase::Started,
            ReportBody::Exited { .. } => self.phase = Phase::Exited,
            ReportBody::Noted { note } => self.notes.add(note),
            ReportBody::SentBack { reason, result } => {
                self.sent_back.push(reason.clone());
                self.handed_over.clone_from(result);
                self.phase = Phase::Accepted;
            }
            ReportBody::Finished { log_bytes, .. } => {
                self.phase = Phase::Finished;
                self.log_bytes = *log_bytes;
            }
        }
    }
}
