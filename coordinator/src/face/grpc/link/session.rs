//! One outpost's session: its reports are applied in batches, and it is told whatever the
//! record says it must be told. Level-triggered: a lost message is found again by the next look.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt as _;
use sprint_core::ids::{Attempt, ItemId, OutpostName, WorkerId};
use sprint_core::job::Report;
use sprint_core::worker::WorkerStateName;
use sprint_proto::v1::{self, coordinator_message::Body as Down, outpost_message::Body as Up};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::super::identity::certificate;
use super::super::status::{malformed, of};
use super::{Link, expired, record, removed};
use crate::face::Face;
use crate::service::fleet::{AttachRequest, Held};
use crate::service::outposts::{self, Hello, Present, Reconcile};
use crate::service::{assignment, enrol, reports, workers};

/// Messages on their way down; an outpost that reads slower holds its own session back.
const DOWN: usize = 256;

/// Reports applied in one transaction at most.
const REPORTS: usize = 128;

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
        .map_err(|_| Status::deadline_exceeded("no hello arrived"))??;
    let Some(Up::Hello(hello)) = first.and_then(|message| message.body) else {
        return Err(Status::invalid_argument("the first message of a session is a hello"));
    };
    let hello = read_hello(hello)?;
    if hello.outpost != link.outpost {
        return Err(Status::permission_denied(format!(
            "the hello names outpost \"{}\", and the certificate is another's: outpost \"{}\"",
            hello.outpost, link.outpost
        )));
    }
    let (held, reconcile) = outposts::connect(&face.sprint, hello).await.map_err(of)?;
    tracing::info!(outpost = %held.outpost, "an outpost connected");
    let (down, receiver) = mpsc::channel(DOWN);
    let session = Session {
        face: face.clone(),
        outpost: held.outpost.clone(),
        link,
        down,
        told: BTreeSet::new(),
        told_to_stop: BTreeSet::new(),
    };
    face.tasks.spawn(session.run(input, held, reconcile));
    Ok(ReceiverStream::new(receiver))
}

fn read_hello(hello: v1::Hello) -> Result<Hello, Status> {
    let v1::Hello { outpost, version, labels, max_workers, instance, workers, draining } = hello;
    Ok(Hello {
        outpost: outpost.parse().map_err(malformed)?,
        version,
        labels: labels.into_iter().collect(),
        max_workers,
        instance,
        draining,
        inventory: workers
            .into_iter()
            .map(|v1::InventoryEntry { worker, item, attempt, finished }| Present {
                worker: WorkerId::new(worker),
                item: ItemId::new(item),
                attempt: Attempt::new(attempt),
                finished,
            })
            .collect(),
    })
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

struct Session {
    face: Face,
    outpost: OutpostName,
    link: Link,
    down: Sender,
    /// Assignments sent over this session.
    told: BTreeSet<WorkerId>,
    /// Stops sent over this session.
    told_to_stop: BTreeSet<WorkerId>,
}

impl Session {
    async fn run(mut self, input: Streaming<v1::OutpostMessage>, mut held: Held, reconcile: Vec<Reconcile>) {
        let ended = self.serve(input, &mut held, reconcile).await;
        if let Err(Ended(Some(status))) = ended {
            tracing::warn!(outpost = %self.outpost, %status, "an outpost's session failed");
            record(&self.face, &self.link, "Link/Session", &status).await;
            // The outpost may be gone; then nobody is left to be told.
            let _ = self.down.try_send(Err(status));
        }
        outposts::disconnect(&self.face.sprint, &held).await;
        tracing::info!(outpost = %self.outpost, "an outpost disconnected");
    }

    async fn serve(
        &mut self,
        mut input: Streaming<v1::OutpostMessage>,
        held: &mut Held,
        reconcile: Vec<Reconcile>,
    ) -> Result<(), Ended> {
        let bell = self.face.sprint.notices().outpost(&self.outpost);
        self.send(Down::Welcome(v1::Welcome {
            heartbeat_ms: u64::try_from(self.face.sprint.settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
            git_base_url: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
        .await?;
        for action in reconcile {
            self.send(match action {
                Reconcile::Stop { worker, reason } => Down::Stop(v1::Stop { worker: worker.get(), reason }),
                Reconcile::Forget { worker } => Down::Forget(v1::Forget { worker: worker.get() }),
            })
            .await?;
        }
        self.tell().await?;
        let stop = self.face.stop.clone();
        let link = self.link.clone();
        let end = link.expired();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(Status::unavailable("the coordinator is shutting down").into()),
                () = held.stop.cancelled() => return Ok(()),
                () = &mut end => return Err(expired().into()),
                () = self.down.closed() => return Ok(()),
                () = bell.notified() => self.tell().await?,
                Some(AttachRequest { session, worker, columns, rows }) = held.attach.recv() => {
                    self.send(Down::Attach(v1::AttachOpen { session, worker: worker.get(), columns, rows })).await?;
                }
                message = input.message() => match message {
                    Ok(Some(message)) => self.hear(message, &mut input).await?,
                    Ok(None) => return Ok(()),
                    // The connection is gone, which is an ordinary end here.
                    Err(status) => {
                        tracing::debug!(outpost = %self.outpost, %status, "the session's connection ended");
                        return Ok(());
                    }
                },
            }
        }
    }

    async fn send(&self, body: Down) -> Result<(), Ended> {
        Ok(self.down.send(Ok(v1::CoordinatorMessage { body: Some(body) })).await?)
    }

    /// Takes a message, and with a report all others that have arrived already.
    async fn hear(
        &mut self,
        first: v1::OutpostMessage,
        input: &mut Streaming<v1::OutpostMessage>,
    ) -> Result<(), Ended> {
        let mut arrived = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message.body {
                Some(Up::Report(report)) => arrived.push(Report::try_from(report).map_err(malformed)?),
                Some(Up::Heartbeat(v1::Heartbeat { active_workers: _, load, draining })) => {
                    let load = load.map(Into::into);
                    outposts::heartbeat(&self.face.sprint, &self.outpost, load, draining).await.map_err(of)?;
                }
                Some(Up::Renew(v1::Renew { csr })) => {
                    let renewed = enrol::renew(&self.face.sprint, &self.outpost, &csr).await.map_err(of)?;
                    self.send(Down::Certificate(certificate(renewed))).await?;
                }
                Some(Up::Hello(_)) => return Err(Status::invalid_argument("a session has one hello").into()),
                None => {}
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
        for answer in reports::apply(&self.face.sprint, &self.link.caller, &self.outpost, arrived).await.map_err(of)? {
            let reports::Acknowledged { worker, seq, refused, forget } = answer;
            self.send(Down::Ack(v1::ReportAck { worker: worker.get(), seq, refused })).await?;
            if forget {
                self.told.remove(&worker);
                self.told_to_stop.remove(&worker);
                self.send(Down::Forget(v1::Forget { worker: worker.get() })).await?;
            }
        }
        Ok(())
    }

    /// Tells the outpost what the record wants of it and this session has not said yet.
    async fn tell(&mut self) -> Result<(), Ended> {
        let sprint = &self.face.sprint;
        if !self.link.is_member(sprint) {
            return Err(removed().into());
        }
        for worker in workers::pending(sprint, &self.outpost).await.map_err(of)? {
            let id = worker.id;
            if worker.state.name() == WorkerStateName::Assigned && !self.told.contains(&id) {
                let Some(assignment) = assignment::of_worker(sprint, &worker).await.map_err(of)? else {
                    let reason = "there is nothing to run for it any more".to_owned();
                    outposts::lose(sprint, worker, reason).await.map_err(of)?;
                    continue;
                };
                self.told.insert(id);
                self.send(Down::Assign(assignment.into())).await?;
            }
            if let Some(reason) = worker.stop_reason
                && self.told_to_stop.insert(id)
            {
                self.send(Down::Stop(v1::Stop { worker: id.get(), reason })).await?;
            }
        }
        Ok(())
    }
}
