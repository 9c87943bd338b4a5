//! An outpost's session, message by message.

use sprint_proto::v1;
use sprint_proto::v1::link_client::LinkClient;
use sprint_proto::v1::{coordinator_message::Body as Down, outpost_message::Body as Up};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::site::LIMIT;

/// A session, from the outpost's side.
pub(crate) struct Session {
    pub(crate) up: mpsc::Sender<v1::OutpostMessage>,
    down: Streaming<v1::CoordinatorMessage>,
}

/// What an outpost says of itself.
pub(crate) fn hello(name: &str) -> v1::Hello {
    v1::Hello {
        outpost: name.to_owned(),
        max_workers: 8,
        instance: format!("instance of {name}"),
        labels: [("host".to_owned(), name.to_owned())].into(),
        ..v1::Hello::default()
    }
}

impl Session {
    pub(crate) async fn open(link: LinkClient<Channel>, name: &str) -> Result<Self, Status> {
        let mut session = Self::begin(link, Up::Hello(hello(name))).await?;
        match session.next().await? {
            Some(Down::Welcome(_)) => Ok(session),
            other => panic!("no welcome, but {other:?}"),
        }
    }

    /// Opens a session with any first message.
    pub(crate) async fn begin(mut link: LinkClient<Channel>, first: Up) -> Result<Self, Status> {
        let (up, messages) = mpsc::channel(64);
        up.send(v1::OutpostMessage { body: Some(first) }).await.expect("there is room");
        let down = link.session(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Self { up, down })
    }

    pub(crate) async fn send(&self, body: Up) {
        // The other side may have ended it; what it says then is read from it.
        self.up.send(v1::OutpostMessage { body: Some(body) }).await.ok();
    }

    /// The next message; none when the coordinator ended the session in good order.
    pub(crate) async fn next(&mut self) -> Result<Option<Down>, Status> {
        let message = tokio::time::timeout(LIMIT, self.down.message()).await.expect("something comes");
        Ok(message?.and_then(|message| message.body))
    }

    /// Waits for the next assignment, and takes it.
    pub(crate) async fn work(&mut self) -> v1::Assignment {
        loop {
            if let Some(Down::Assign(assignment)) = self.next().await.expect("it goes on") {
                let report = report(&assignment, 1, v1::report::Body::Accepted(v1::Accepted {}));
                let refused = self.report(report).await.expect("it goes on");
                assert_eq!(refused, None, "a report of its own worker is accepted");
                return assignment;
            }
        }
    }

    /// Sends a report; answers why it was refused, if it was, or how the session ended.
    pub(crate) async fn report(&mut self, report: v1::Report) -> Result<Option<String>, Status> {
        let (worker, seq) = (report.worker, report.seq);
        self.send(Up::Report(report)).await;
        loop {
            match self.next().await? {
                Some(Down::Ack(ack)) if (ack.worker, ack.seq) == (worker, seq) => return Ok(ack.refused),
                Some(_) => {}
                None => return Err(Status::cancelled("the session ended")),
            }
        }
    }

    /// Waits for the end of the session, and answers why it ended.
    pub(crate) async fn ended(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("without a reason"),
                Err(status) => return status,
            }
        }
    }
}

/// A report of an assignment's worker.
pub(crate) fn report(assignment: &v1::Assignment, seq: u64, body: v1::report::Body) -> v1::Report {
    v1::Report { worker: assignment.worker, job: assignment.job.clone(), seq, body: Some(body) }
}

/// The end of a worker that failed.
pub(crate) fn failed() -> v1::report::Body {
    let outcome = attempt(v1::attempt_outcome::Kind::Failed("it broke".to_owned()));
    v1::report::Body::Finished(v1::Finished { outcome: Some(outcome), ..v1::Finished::default() })
}

/// How an attempt ended.
pub(crate) const fn attempt(kind: v1::attempt_outcome::Kind) -> v1::finished::Outcome {
    v1::finished::Outcome::Attempt(v1::AttemptOutcome { kind: Some(kind) })
}

/// The attempt that an assignment is.
pub(crate) fn job_of(assignment: &v1::Assignment) -> v1::AttemptJob {
    assignment.job.as_ref().and_then(v1::Job::attempt).cloned().expect("it is an attempt")
}

/// The job of another attempt than the assignment's.
pub(crate) fn another(assignment: &v1::Assignment, change: impl FnOnce(&mut v1::AttemptJob)) -> v1::Job {
    let mut job = job_of(assignment);
    change(&mut job);
    v1::Job { kind: Some(v1::job::Kind::Attempt(job)) }
}
