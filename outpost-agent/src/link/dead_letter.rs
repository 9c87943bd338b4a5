//! A report that no message holds: it is kept on the disk, its worker is settled, and the next report follows.

use std::path::Path;

use prost::Message as _;
use sprint_core::assignment::{Outcome, Report, ReportBody};
use sprint_proto::v1;

use crate::host::disk::{self, Durability};

/// A report as it is sent. One that has more than `most` bytes would end each session that is to bring it: it becomes
/// the file `letter`, and its worker counts as lost.
pub(super) fn deliverable(report: Report, letter: &Path, most: usize) -> v1::Report {
    let message = v1::Report::from(report.clone());
    let bytes = message.encoded_len();
    if bytes <= most {
        return message;
    }
    let kept = serde_json::to_vec(&report).map_err(std::io::Error::from);
    let kept = kept.and_then(|text| disk::write_atomic(letter, &text, Durability::Process));
    let Report { worker, job, seq, body: _ } = report;
    tracing::error!(%worker, seq, bytes, letter = %letter.display(), ?kept, "a report is too large to be delivered");
    let place = match kept {
        Ok(()) => format!("it is kept as {}", letter.display()),
        Err(error) => format!("it could not be kept as {}: {error}", letter.display()),
    };
    let outcome = Outcome::lost(&job, format!("its report has {bytes} bytes, more than a message holds; {place}"));
    Report { worker, job, seq, body: ended(outcome) }.into()
}

/// The end of a worker of which nothing else is known.
pub(super) fn ended(outcome: Outcome) -> ReportBody {
    ReportBody::Finished {
        exit_code: None,
        steps: vec![],
        wip: None,
        log_bytes: 0,
        log_tail: String::new(),
        outcome,
        left: Box::default(),
        agent: None,
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::assignment::AttemptOutcome;
    use sprint_core::fixtures::attempt_job;
    use sprint_core::ids::WorkerId;

    use super::*;

    fn report(reason: &str) -> Report {
        let failed = Outcome::Attempt(AttemptOutcome::Failed { reason: reason.to_owned() });
        Report { worker: WorkerId::new(3), job: attempt_job(2), seq: 4, body: ended(failed) }
    }

    fn reason(message: v1::Report) -> String {
        let body = Report::try_from(message).expect("a report").body;
        let ReportBody::Finished { outcome: Outcome::Attempt(AttemptOutcome::Lost { reason }), .. } = body else {
            panic!("not lost: {body:?}")
        };
        reason
    }

    #[test]
    fn a_report_that_no_message_holds_is_kept_and_its_worker_is_lost() {
        let dir = tempfile::tempdir().expect("a directory");
        let letter = dir.path().join("letter.json");
        let short = report("it failed");
        let most = v1::Report::from(short.clone()).encoded_len();
        assert_eq!(Report::try_from(deliverable(short.clone(), &letter, most)).expect("a report"), short);
        assert!(!letter.exists());
        let long = report("it failed!");
        let said = reason(deliverable(long.clone(), &letter, most));
        assert_eq!(
            said,
            format!("its report has {} bytes, more than a message holds; it is kept as {}", most + 1, letter.display())
        );
        let kept: Report = serde_json::from_slice(&std::fs::read(&letter).expect("is there")).expect("a report");
        assert_eq!(kept, long);
        let said = reason(deliverable(long, &dir.path().join("missing/letter.json"), most));
        assert!(said.contains("could not be kept as"), "{said}");
    }
}
