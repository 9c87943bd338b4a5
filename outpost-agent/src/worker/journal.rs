//! A worker's reports on disk: JSON lines, appended, durable before they are sent.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sprint_core::assignment::Report;
use sprint_core::job::Job;
use sprint_core::upcast;

use crate::host::disk;
use crate::host::paths::WorkerDir;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Report(Box<Report>),
    /// Every report up to this number was acknowledged.
    Acked(u64),
}

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct JournalContent {
    pub(crate) reports: Vec<Report>,
    pub(crate) acked: u64,
}

/// The open journal of one worker.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// The directory's other files and its name are not synced yet.
    new: bool,
    /// Length of the part that is whole; a torn line behind it is cut off.
    whole: u64,
    /// What a full disk has kept from being written.
    waiting: Vec<u8>,
}

impl Journal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, new: true, whole: 0, waiting: vec![] }
    }

    /// Reads what an earlier run of the agent has written.
    ///
    /// # Errors
    /// Those of the file system; a file that does not exist is an empty one.
    pub(crate) fn load(path: PathBuf, job: &Job) -> io::Result<(Self, JournalContent)> {
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => return Err(error),
        };
        let (recorded, whole) = read(&content, job);
        Ok((Self { path, file: None, new: false, whole, waiting: vec![] }, recorded))
    }

    pub(crate) fn add_report(&mut self, report: &Report) {
        self.add(&Line::Report(Box::new(report.clone())));
    }

    /// Notes an acknowledgement; if it is lost the report is sent again, which does no harm.
    pub(crate) fn add_ack(&mut self, seq: u64) {
        self.add(&Line::Acked(seq));
    }

    fn add(&mut self, line: &Line) {
        match serde_json::to_vec(line) {
            Ok(text) => {
                self.waiting.extend(text);
                self.waiting.push(b'\n');
            }
            Err(error) => tracing::error!(%error, "a report cannot be written as JSON"),
        }
    }

    /// Takes back a report that could not be written.
    pub(crate) fn take_back(&mut self, report: &Report) {
        let Ok(mut line) = serde_json::to_vec(&Line::Report(Box::new(report.clone()))) else { return };
        line.push(b'\n');
        if let Some(at) = self.waiting.windows(line.len()).rposition(|part| part == line) {
            self.waiting.drain(at..at + line.len());
        }
    }

    /// Whether something is not on the disk yet.
    pub(crate) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what waits, and with `sync` makes it survive a power cut.
    ///
    /// # Errors
    /// Those of the file system; what waits goes on waiting.
    pub(crate) fn flush(&mut self, sync: bool) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options().append(true).create(true).open(&self.path)?,
        };
        let file = self.file.insert(file);
        if file.metadata()?.len() != self.whole {
            file.set_len(self.whole)?;
        }
        file.write_all(&self.waiting)?;
        if sync {
            file.sync_data()?;
        }
        if sync && self.new {
            sync_around(&self.path)?;
            self.new = false;
        }
        self.whole += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// Reads lines up to the first that is not whole; answers also how many bytes they are.
fn read(content: &[u8], job: &Job) -> (JournalContent, u64) {
    let mut recorded = JournalContent::default();
    let mut whole = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        // A line that was cut off by a crash was never sent.
        let Some(text) = line.strip_suffix(b"\n") else { break };
        match line_of(text, job) {
            Ok(Line::Report(report)) => recorded.reports.push(*report),
            Ok(Line::Acked(seq)) => recorded.acked = recorded.acked.max(seq),
            Err(_) => break,
        }
        whole += line.len() as u64;
    }
    (recorded, whole)
}

/// A line as it is written today, or as an earlier version wrote it.
fn line_of(text: &[u8], job: &Job) -> serde_json::Result<Line> {
    serde_json::from_slice(text).or_else(|_| {
        let mut line: serde_json::Value = serde_json::from_slice(text)?;
        if let Some(report) = line.get_mut("report") {
            upcast::report(report, job);
        }
        serde_json::from_value(line)
    })
}

/// Syncs what the first report speaks of: the assignment beside the journal, and
/// the names of both up to the directory of workers.
fn sync_around(journal: &Path) -> io::Result<()> {
    let Some(dir) = journal.parent() else { return Ok(()) };
    match File::open(WorkerDir::new(dir.to_owned()).assignment()) {
        Ok(assignment) => assignment.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    disk::sync_dir(dir)?;
    dir.parent().map_or(Ok(()), disk::sync_dir)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::assignment::ReportBody;
    use sprint_core::fixtures::attempt_job;
    use sprint_core::fuzz::bytes;
    use sprint_core::ids::WorkerId;

    use super::*;

    fn report(seq: u64, body: ReportBody) -> Report {
        Report { worker: WorkerId::new(1), job: attempt_job(2), seq, body }
    }

    #[test]
    fn reports_and_acknowledgements_are_read_back_and_a_torn_line_is_cut_off() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("reports.jsonl");
        let reports = [report(1, ReportBody::Accepted), report(2, ReportBody::Exited { exit_code: Some(3) })];
        let mut journal = Journal::new(path.clone());
        journal.add_report(&reports[0]);
        journal.add_report(&reports[1]);
        journal.add_ack(1);
        journal.flush(true).expect("is written");
        File::options().append(true).open(&path).and_then(|mut file| file.write_all(b"{\"repor")).expect("is torn");

        let (mut journal, recorded) = Journal::load(path.clone(), &attempt_job(2)).expect("is read");
        assert_eq!((recorded.reports.as_slice(), recorded.acked), (reports.as_slice(), 1));
        journal.add_ack(2);
        journal.flush(false).expect("is written");
        assert_eq!(Journal::load(path, &attempt_job(2)).expect("is read").1.acked, 2);
    }

    #[test]
    fn a_report_that_could_not_be_written_is_taken_back_and_the_others_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("missing").join("reports.jsonl");
        let mut journal = Journal::new(path.clone());
        let reports = [report(1, ReportBody::Accepted), report(2, ReportBody::Exited { exit_code: None })];
        journal.add_report(&reports[0]);
        journal.add_report(&reports[1]);
        journal.add_ack(1);
        journal.flush(true).expect_err("there is no directory");
        journal.take_back(&reports[1]);
        fs::create_dir(path.parent().expect("a directory")).expect("is made");
        journal.flush(true).expect("is written");
        let recorded = Journal::load(path, &attempt_job(2)).expect("is read").1;
        assert_eq!((recorded.reports.as_slice(), recorded.acked), (&reports[..1], 1));
    }

    const VALID: &[u8] = br#"{"report":{"worker":1,"item":2,"attempt":3,"seq":1,"report":"accepted"}}
{"report":{"worker":1,"item":2,"attempt":3,"seq":2,"report":"started","terminal":null}}
{"acked":1}
{"report":{"worker":1,"item":2,"attempt":3,"seq":3,"report":"finished","exit_code":0,"steps":[],"wip":null,"log_bytes":9,"log_tail":"x","outcome":"failed","reason":"y"}}
"#;

    #[test]
    fn every_kind_of_line_is_read_as_an_earlier_version_wrote_it() {
        let (recorded, whole) = read(VALID, &attempt_job(2));
        assert_eq!((recorded.reports.len(), recorded.acked, whole), (3, 1, VALID.len() as u64));
    }

    proptest! {
        /// What is read of a journal is the same when it is read again, and when it is written again.
        #[test]
        fn fuzz_a_journal_is_read_up_to_its_first_bad_line(content in bytes(vec![VALID.to_vec()])) {
            let (recorded, whole) = read(&content, &attempt_job(2));
            let whole = usize::try_from(whole).expect("is short");
            prop_assert!(whole <= content.len() && (whole == 0 || content[whole - 1] == b'\n'));
            let again = read(&content[..whole], &attempt_job(2));
            prop_assert_eq!((&again.0.reports, again.0.acked, again.1), (&recorded.reports, recorded.acked, whole as u64));
            let mut journal = Journal::new(PathBuf::new());
            for report in &recorded.reports {
                journal.add_report(report);
            }
            prop_assert_eq!(read(&journal.waiting, &attempt_job(2)).0.reports, recorded.reports);
        }
    }
}
