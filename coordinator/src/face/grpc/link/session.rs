//! One outpost's session: its reports are applied in batches, and the messages that the record demands are sent to
//! it. Level-triggered: a lost message is sent again by the next pass.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use sprint_core::agent::AgentSaid;
use sprint_core::assignment::Report;
use sprint_core::ids::{ItemId, OutpostName, WorkerId};
use sprint_core::refusal::Code;
use sprint_core::request::Hello;
use sprint_failpoint::{Point, pass};
use sprint_proto::convert::millis;
use sprint_proto::v1::{self, coordinator_message::Body as Down, outpost_message::Body as Up};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::super::identity::certificate;
use super::super::status::{malformed, of, plain, stopping};
use super::call::{Link, expired, record, removed};
use crate::face::Face;
use crate::service;
use crate::service::admission::enrol;
use crate::service::fleet::connections::{AttachRequest, SessionHold};
use crate::service::fleet::presence;
use crate::service::fleet::session::Downlink;
use crate::service::fleet::workers;

/// Messages on their way down; an outpost that reads slower holds its own session back.
const DOWN: usize = 256;

/// Reports applied in one transaction at most.
const REPORTS: usize = 128;

/// The number of missed heartbeats after which the session counts as dead, and the shortest silence before it does.
const HEARTBEATS_MISSED: u32 = 3;
const SILENCE: Duration = Duration::from_secs(8);

/// How long a new stream may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

type Sender = mpsc::Sender<Result<v1::CoordinatorMessage, Status>>;

pub(super) async fn open(
    face: &Face,
    link: Link,
    mut input: Streaming<v1::OutpostMessage>,
) -> Result<ReceiverStream<Result<v1::CoordinatorMessage, Status>>, Status> {
    let first = tokio::time::timeout(HELLO_LIMIT, input.message())
        .await
        .map_err(|_| plain(Code::RequestTimedOut, "no hello arrived"))??;
    let Some(Up::Hello(hello)) = first.and_then(|message| message.body) else {
        return Err(plain(Code::RequestInvalid, "the first message of a session must be a hello"));
    };
    let hello = Hello::try_from(hello).map_err(of)?;
    if hello.outpost != link.outpost {
        let why = format!(
            "the hello names outpost \"{}\", and the certificate belongs to outpost \"{}\"",
            hello.outpost, link.outpost
        );
        return Err(plain(Code::CallerForbidden, why));
    }
    let (session, held, told) = service::fleet::session::Session::open(&face.sprint, hello).await.map_err(of)?;
    tracing::info!(outpost = %held.outpost, "an outpost connected");
    let (down, receiver) = mpsc::channel(DOWN);
    // It may last for days: what is done in it has spans of its own, which name it.
    let number = held.number();
    let span = tracing::info_span!(parent: None, "session", outpost = %held.outpost, session = number, end = Empty);
    let outpost = held.outpost.clone();
    let connection = Connected { face: face.clone(), outpost, link, down, session, number, span };
    face.sprint.tasks.spawn(connection.run(input, held, told));
    Ok(ReceiverStream::new(receiver))
}

/// Why a session ended, when not by its outpost.
struct Ended(Option<Status>);

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self(Some(status))
    }
}

impl<T> From<mpsc::error::SendError<T>> for Ended {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self(None)
    }
}

struct Connected {
    face: Face,
    outpost: OutpostName,
    link: Link,
    down: Sender,
    session: service::fleet::session::Session,
    /// The session's number, by which its spans name it.
    number: u64,
    span: Span,
}

impl Connected {
    async fn run(mut self, input: Streaming<v1::OutpostMessage>, mut held: SessionHold, told: Vec<Downlink>) {
        let ended = self.serve(input, &mut held, told).await;
        if let Err(Ended(Some(status))) = ended {
            self.span.record("end", status.message());
            tracing::warn!(outpost = %self.outpost, %status, "an outpost's session failed");
            record(&self.face, &self.link, "Link/Session", &status).await;
            // The send fails when the outpost is gone, which is no error.
            let _ = self.down.try_send(Err(status));
        }
        presence::disconnect(&self.face.sprint, &held).await;
        tracing::info!(outpost = %self.outpost, "an outpost disconnected");
    }

    async fn serve(
        &mut self,
        mut input: Streaming<v1::OutpostMessage>,
        held: &mut SessionHold,
        told: Vec<Downlink>,
    ) -> Result<(), Ended> {
        let wake = self.face.sprint.notices().outpost(&self.outpost);
        self.send(Down::Welcome(v1::Welcome {
            heartbeat_ms: millis(self.face.sprint.settings.heartbeat),
            git_base_url: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            snapshot_ms: millis(self.face.sprint.settings.snapshot_every),
        }))
        .await?;
        self.send_all(told).await?;
        self.tell().await?;
        let stop = self.face.sprint.stop.clone();
        let link = self.link.clone();
        let end = link.expired();
        tokio::pin!(end);
        let patience = (self.face.sprint.settings.heartbeat * HEARTBEATS_MISSED).max(SILENCE);
        let silence = tokio::time::sleep(patience);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(stopping().into()),
                () = held.stop.cancelled() => return Ok(()),
                () = &mut end => return Err(expired().into()),
                () = self.down.closed() => return Ok(()),
                message = input.message() => match message {
                    Ok(Some(message)) => {
                        self.hear(message, &mut input).await?;
                        silence.as_mut().reset(Instant::now() + patience);
                    }
                    Ok(None) => return Ok(()),
                    // The connection is gone, which is an ordinary end here.
                    Err(status) => {
                        tracing::debug!(outpost = %self.outpost, %status, "the session's connection ended");
                        return Ok(());
                    }
                },
                () = wake.notified() => self.tell().await?,
                Some(AttachRequest { session, worker, columns, rows }) = held.attach.recv() => {
                    self.send(Down::Attach(v1::AttachOpen { session, worker: worker.get(), columns, rows })).await?;
                }
                // Last: what has arrived while this process was stopped is heard first.
                () = &mut silence => return Err(plain(Code::OutpostSilent, "no heartbeat arrived").into()),
            }
        }
    }

    async fn send(&self, body: Down) -> Result<(), Ended> {
        Ok(self.down.send(Ok(v1::CoordinatorMessage { body: Some(body) })).await?)
    }

    async fn send_all(&self, told: Vec<Downlink>) -> Result<(), Ended> {
        for told in told {
            let is_assignment = matches!(told, Downlink::Assign(_));
            if is_assignment {
                pass(Point::AssignBefore);
            }
            self.send(match told {
                Downlink::Assign(assignment) => Down::Assign((*assignment).into()),
                Downlink::Stop { worker, reason } => Down::Stop(v1::Stop { worker: worker.get(), reason }),
                Downlink::Acknowledge { worker, seq, refused, item } => {
                    let (worker, item) = (worker.get(), item.map(ItemId::get));
                    Down::Ack(v1::ReportAck { worker, seq, refused, item })
                }
                Downlink::Forget { worker } => Down::Forget(v1::Forget { worker: worker.get() }),
            })
            .await?;
            if is_assignment {
                pass(Point::AssignAfter);
            }
        }
        Ok(())
    }

    /// Takes a message, and with a report all others that have arrived already.
    async fn hear(
        &mut self,
        first: v1::OutpostMessage,
        input: &mut Streaming<v1::OutpostMessage>,
    ) -> Result<(), Ended> {
        let sprint = Arc::clone(&self.face.sprint);
        let mut arrived = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message.body {
                Some(Up::Report(report)) => arrived.push(Report::try_from(report).map_err(malformed)?),
                Some(Up::Heartbeat(v1::Heartbeat { active_workers: _, load, draining, paused })) => {
                    let load = load.map(Into::into);
                    presence::heartbeat(&sprint, &self.outpost, load, draining, paused).await.map_err(of)?;
                }
                Some(Up::Found(v1::Found { session, saved_to })) => {
                    presence::found(&sprint, self.outpost.clone(), session, saved_to).await.map_err(of)?;
                }
                Some(Up::Activity(v1::Activity { worker, agent: Some(agent) })) => {
                    let said = AgentSaid::try_from(agent).map_err(malformed)?;
                    workers::note_agent(&sprint, &self.outpost, WorkerId::new(worker), said);
                }
                Some(Up::Renew(v1::Renew { csr })) => {
                    let renewed = enrol::renew(&sprint, &self.outpost, &csr).await.map_err(of)?;
                    self.send(Down::Certificate(certificate(renewed))).await?;
                }
                Some(Up::Hello(_)) => return Err(plain(Code::RequestInvalid, "a session has one hello").into()),
                Some(Up::Activity(v1::Activity { worker: _, agent: None })) | None => {}
            }
            if arrived.len() < REPORTS
                && let Some(Ok(more)) = input.message().now_or_never()
            {
                next = more;
            }
        }
        if arrived.is_empty() {
            return Ok(());
        }
        let span = tracing::info_span!(
            parent: None,
            "reports",
            outpost = %self.outpost,
            session = self.number,
            reports = arrived.len(),
        );
        span.follows_from(&self.span);
        let told = self.session.hear(&sprint, &self.link.caller, arrived).instrument(span).await.map_err(of)?;
        self.send_all(told).await
    }

    /// Tells the outpost what the record wants of it and this session has not said yet.
    async fn tell(&mut self) -> Result<(), Ended> {
        let sprint = Arc::clone(&self.face.sprint);
        if !self.link.is_member(&sprint) {
            return Err(removed().into());
        }
        let told = self.session.tell(&sprint).await.map_err(of)?;
        self.send_all(told).await
    }
}
