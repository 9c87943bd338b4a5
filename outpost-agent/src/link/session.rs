//! The control stream: hello, heartbeats and reports up; assignments and orders down.

use std::sync::Arc;
use std::time::Duration;

use sprint_core::assignment::{Assignment, Outcome, Report, ReportBody};
use sprint_core::ids::{ItemId, WorkerId};
use sprint_core::job::Job;
use sprint_identity::connect::refused_certificate;
use sprint_proto::MAX_MESSAGE_BYTES;
use sprint_proto::v1::{self, coordinator_message, outpost_message};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::backoff::Backoff;
use super::connection::{causes, connect};
use super::dead_letter::{deliverable, ended};
use super::identity::IdentityError;
use super::refusal::sentence;
use super::terminal;
use crate::context::Agent;
use crate::host::load;
use crate::host::orphan_sessions::OrphanSession;
use crate::shim::channel;
use crate::worker::Stop;
use crate::worker::roster;
use crate::workspace::remote::Remote;

/// Small messages; when the coordinator does not read them the session waits.
const UP: usize = 64;
/// The shortest heartbeat period that is accepted from a coordinator.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// The largest report that is sent.
const MOST: usize = MAX_MESSAGE_BYTES / 2;
/// The pause before the next certificate is requested again.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How long the coordinator may take to answer a hello.
const WELCOME_LIMIT: Duration = Duration::from_secs(10);

/// Why a session ended.
#[derive(Debug, Error)]
enum SessionEnd {
    #[error("{}", causes(.0))]
    Unreachable(#[from] IdentityError),
    #[error("{0}")]
    Refused(String),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the coordinator ended the session")]
    Closed,
    #[error("the coordinator did not answer the hello")]
    Silent,
    #[error("the certificate was renewed; connecting with the new one")]
    Renewed,
}

impl From<Status> for SessionEnd {
    fn from(status: Status) -> Self {
        // Under TLS 1.3 a certificate is refused after the handshake.
        if let Some(why) = refused_certificate(&status) {
            return Self::Refused(format!("the coordinator refused this outpost's certificate: {why}"));
        }
        match status.code() {
            Code::FailedPrecondition | Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated => {
                Self::Refused(sentence(&status))
            }
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Lost(sentence(&status)),
        }
    }
}

/// Holds a session until it is dropped.
pub(crate) async fn run(agent: Arc<Agent>) {
    let mut backoff = Backoff::new();
    let mut said = String::new();
    loop {
        let settings = &agent.settings;
        let span = tracing::info_span!(
            parent: None,
            "session",
            outpost = %settings.name,
            coordinator = settings.coordinator,
            end = Empty,
        );
        let ended = match session(&agent, &mut backoff, &mut said).instrument(span.clone()).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        };
        let why = ended.to_string();
        span.record("end", &why);
        drop(span);
        if matches!(ended, SessionEnd::Renewed) {
            tracing::info!("{why}");
            continue;
        }
        // A coordinator that is away for long is not worth a line for each try.
        if why == said {
            tracing::debug!(why, "still no session");
        } else if matches!(ended, SessionEnd::Refused(_)) {
            tracing::error!(
                coordinator = agent.settings.coordinator,
                why,
                "the coordinator refused this outpost; trying again"
            );
        } else {
            tracing::warn!(
                coordinator = agent.settings.coordinator,
                why,
                "no session with the coordinator; connecting again"
            );
        }
        said = why;
        tokio::time::sleep(backoff.pause(fastrand::f64())).await;
    }
}

async fn session(
    agent: &Arc<Agent>,
    backoff: &mut Backoff,
    said: &mut String,
) -> Result<std::convert::Infallible, SessionEnd> {
    let mut client = connect(agent).await?;
    let (up, messages) = mpsc::channel(UP);
    send(&up, outpost_message::Body::Hello(hello(agent))).await?;
    let mut down = client.session(ReceiverStream::new(messages)).await?.into_inner();
    let welcome = tokio::time::timeout(WELCOME_LIMIT, first(&mut down)).await.map_err(|_| SessionEnd::Silent)??;
    let v1::Welcome { heartbeat_ms, git_base_url, version, snapshot_ms } = welcome;
    tracing::info!(coordinator = agent.settings.coordinator, version, "joined");
    backoff.reset();
    said.clear();
    let remote = remote(agent, git_base_url);
    agent.repositories.remote.send_if_modified(|known| {
        let new = known.as_ref() != Some(&remote);
        if new {
            *known = Some(remote);
        }
        new
    });
    agent.snapshot_pace.set(Duration::from_millis(snapshot_ms));
    agent.outbox.restart();
    agent.orphan_sessions.restart();
    // What a coordinator knows of agents at work is gone with it.
    agent.fleet.all().iter().for_each(|handle| agent.agents_said.add(handle.id()));
    let period = Duration::from_millis(heartbeat_ms).max(HEARTBEAT_MIN);
    let mut heartbeat = interval_at(Instant::now(), period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked: Option<Instant> = None;
    let mut pause = agent.pause.subscribe();
    if pause.borrow().is_some() {
        pause.mark_changed();
    }
    loop {
        tokio::select! {
            message = down.message() => match message? {
                Some(v1::CoordinatorMessage { body: Some(coordinator_message::Body::Certificate(new)) }) => {
                    match agent.identity.keep(new) {
                        Ok(()) => return Err(SessionEnd::Renewed),
                        Err(error) => tracing::error!(%error, "the next certificate cannot be used"),
                    }
                }
                Some(v1::CoordinatorMessage { body: Some(body) }) => obey(agent, body),
                Some(v1::CoordinatorMessage { body: None }) => {
                    tracing::warn!("the coordinator sent a message that this version does not know");
                }
                None => return Err(SessionEnd::Closed),
            },
            () = agent.identity.renewal_is_due(), if asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN) => {
                asked = Some(Instant::now());
                send(&up, outpost_message::Body::Renew(v1::Renew { csr: agent.identity.request().into() })).await?;
            }
            Ok(()) = pause.changed() => send(&up, outpost_message::Body::Heartbeat(beat(agent))).await?,
            _ = heartbeat.tick() => send(&up, outpost_message::Body::Heartbeat(beat(agent))).await?,
            () = agent.orphan_sessions.wait() => {
                while let Some(OrphanSession { session, saved_to }) = agent.orphan_sessions.first() {
                    let saved_to = saved_to.display().to_string();
                    send(&up, outpost_message::Body::Found(v1::Found { session, saved_to })).await?;
                    agent.orphan_sessions.mark_reported();
                }
            }
            () = agent.agents_said.wait() => {
                for worker in agent.agents_said.take() {
                    let Some(handle) = agent.fleet.get(worker) else { continue };
                    if let Some(mut said) = channel::read(&handle.dir.agent()) {
                        said.each_text(&mut |text| handle.redactor.text(text));
                        let agent = Some(said.bounded().into());
                        send(&up, outpost_message::Body::Activity(v1::Activity { worker: worker.get(), agent })).await?;
                    }
                }
            }
            () = agent.outbox.wait() => {
                while let Some(report) = agent.outbox.next() {
                    let letter = agent.data.dead_letter(report.worker, report.seq);
                    send(&up, outpost_message::Body::Report(deliverable(report, &letter, MOST))).await?;
                }
            }
        }
    }
}

/// Where code is fetched from and pushed to: at the coordinator's own address, unless it names another.
fn remote(agent: &Agent, base_url: String) -> Remote {
    if base_url.is_empty() {
        let base_url = format!("https://{}", agent.settings.coordinator);
        Remote::new(base_url, Some(agent.identity.tls_files()))
    } else {
        let tls = base_url.starts_with("https://").then(|| agent.identity.tls_files());
        Remote::new(base_url, tls)
    }
}

async fn send(up: &mpsc::Sender<v1::OutpostMessage>, body: outpost_message::Body) -> Result<(), SessionEnd> {
    up.send(v1::OutpostMessage { body: Some(body) })
        .await
        .map_err(|_| SessionEnd::Lost("the stream is closed".to_owned()))
}

async fn first(down: &mut Streaming<v1::CoordinatorMessage>) -> Result<v1::Welcome, SessionEnd> {
    match down.message().await? {
        Some(v1::CoordinatorMessage { body: Some(coordinator_message::Body::Welcome(welcome)) }) => Ok(welcome),
        Some(_) => Err(SessionEnd::Lost("the first message was not a welcome".to_owned())),
        None => Err(SessionEnd::Closed),
    }
}

fn hello(agent: &Agent) -> v1::Hello {
    let settings = &agent.settings;
    let workers = agent
        .fleet
        .all()
        .iter()
        .map(|handle| v1::InventoryEntry {
            worker: handle.id().get(),
            job: Some(handle.assignment.job.clone().into()),
            finished: handle.is_finished(),
        })
        .collect();
    v1::Hello {
        outpost: settings.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        labels: settings.labels.clone().into_iter().collect(),
        max_workers: settings.max_workers,
        instance: settings.instance.clone(),
        workers,
        draining: settings.drain,
    }
}

fn beat(agent: &Agent) -> v1::Heartbeat {
    v1::Heartbeat {
        active_workers: u32::try_from(agent.fleet.active()).unwrap_or(u32::MAX),
        load: Some(load::read(agent.data.root()).into()),
        draining: agent.settings.drain,
        paused: agent.pause.borrow().as_ref().map(|pause| pause.reason.clone()),
    }
}

/// Returns a worker that cannot be accepted; nothing of it is written to the disk.
fn refuse(agent: &Agent, worker: WorkerId, job: &Job, reason: String) {
    let finished = ended(Outcome::lost(job, reason));
    for (seq, body) in [(1, ReportBody::Accepted), (2, finished)] {
        agent.outbox.push(Report { worker, job: job.clone(), seq, body });
    }
}

/// Carries out an order of the coordinator, without waiting.
fn obey(agent: &Arc<Agent>, order: coordinator_message::Body) {
    match order {
        coordinator_message::Body::Welcome(_) => tracing::warn!("the coordinator sent a second welcome"),
        coordinator_message::Body::Assign(assignment) => {
            let (worker, job) = (assignment.worker, assignment.job.clone());
            match Assignment::try_from(assignment) {
                Ok(mut assignment) => {
                    assignment.resolve(&agent.settings.runtimes);
                    roster::assign(agent, assignment);
                }
                Err(error) => {
                    tracing::error!(worker, %error, "an assignment is invalid; check that agent and coordinator have the same version");
                    let reason = format!("the outpost does not understand the assignment: {error}");
                    // Without a job it cannot be answered; the coordinator takes it for lost when the outpost comes back.
                    if let Some(Ok(job)) = job.map(Job::try_from) {
                        refuse(agent, WorkerId::new(worker), &job, reason);
                    }
                }
            }
        }
        coordinator_message::Body::Stop(v1::Stop { worker, reason }) => {
            if let Some(handle) = agent.fleet.get(WorkerId::new(worker)) {
                handle.request_stop(Stop::Requested(reason));
            } else {
                tracing::debug!(worker, "told to stop a worker that is not here");
            }
        }
        coordinator_message::Body::Ack(v1::ReportAck { worker, seq, refused, item }) => {
            let worker = WorkerId::new(worker);
            agent.outbox.acknowledge(worker, seq);
            if let Some(handle) = agent.fleet.get(worker) {
                handle.acknowledged(seq, refused.as_deref(), item.map(ItemId::new));
            }
        }
        coordinator_message::Body::Attach(attach) => {
            agent.spawn(terminal::attach(agent.clone(), attach));
        }
        coordinator_message::Body::Certificate(_) => {
            tracing::warn!("the coordinator sent a certificate without a request");
        }
        coordinator_message::Body::Forget(v1::Forget { worker }) => {
            if let Some(handle) = agent.fleet.get(WorkerId::new(worker)) {
                handle.forget();
            } else {
                tracing::debug!(worker, "told to forget a worker that is not here");
            }
        }
    }
}
