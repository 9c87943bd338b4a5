//! An outpost that keeps to the protocol and does no work: its workers run until they are told to end.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sprint_identity::connect::{Credential, connect};
use sprint_identity::trust::Trust;
use sprint_proto::v1::report::Body;
use sprint_proto::v1::{self, coordinator_message::Body as Down, finished::Outcome, outpost_message::Body as Up};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Messages on their way up.
const UP: usize = 256;
/// The first pause before another try to connect, and the longest: as an agent's.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// What a stub tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StubEvent {
    /// It has a session, and whatever it had to tell since the last one is acknowledged.
    Reconciled,
    Disconnected,
    /// A worker on this item is accepted and started.
    Started(u64),
    /// The end of a worker on this item is acknowledged, so long after it was told.
    Ended(u64, Duration),
}

/// One worker, from its assignment until the coordinator says that it may be forgotten.
#[derive(Debug)]
struct Held {
    item: u64,
    job: v1::Job,
    told: u64,
    finished: Option<Instant>,
    unacknowledged: VecDeque<v1::Report>,
}

/// An outpost of stub workers.
#[derive(Debug)]
pub struct Stub {
    pub name: String,
    pub address: String,
    pub trust: Trust,
    pub credential: Credential,
    pub max_workers: u32,
    pub heartbeat: Duration,
    /// A worker ends for each permit that is taken from it.
    pub pace: Arc<Semaphore>,
    pub seen: mpsc::Sender<StubEvent>,
    state: State,
}

/// Workers by number.
#[derive(Debug, Default)]
struct State {
    held: BTreeMap<u64, Held>,
    reconciled: bool,
}

impl Stub {
    pub fn new(
        (name, address, trust): (String, String, Trust),
        credential: Credential,
        (max_workers, heartbeat): (u32, Duration),
        pace: Arc<Semaphore>,
        seen: mpsc::Sender<StubEvent>,
    ) -> Self {
        Self { name, address, trust, credential, max_workers, heartbeat, pace, seen, state: State::default() }
    }

    /// Holds a session without end, over as many connections as are needed.
    pub async fn run(mut self) -> anyhow::Result<Infallible> {
        let (first, longest) = PAUSES;
        let mut pause = first;
        loop {
            let ended = self.session().await;
            if self.state.reconciled {
                pause = first;
                self.state.reconciled = false;
                self.seen.send(StubEvent::Disconnected).await?;
            }
            if let Some(refused) = ended.err().and_then(|error| error.downcast::<tonic::Status>().ok())
                && refused.code() == tonic::Code::PermissionDenied
            {
                bail!("{} was refused: {refused}", self.name);
            }
            let wait = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0));
            tokio::pin!(wait);
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    permit = self.pace.acquire(), if self.state.running().is_some() => {
                        permit?.forget();
                        self.state.end_one();
                    }
                }
            }
            pause = (pause * 2).min(longest);
        }
    }

    async fn session(&mut self) -> anyhow::Result<()> {
        let connection = connect(&self.address, &self.trust, &self.credential, |endpoint| endpoint).await?;
        let (up, messages) = mpsc::channel(UP);
        up.send(message(Up::Hello(self.hello()))).await?;
        let mut link = v1::link_client::LinkClient::new(connection);
        let mut down = link.session(ReceiverStream::new(messages)).await?.into_inner();
        let Some(Down::Welcome(_)) = down.message().await?.and_then(|message| message.body) else {
            bail!("no welcome");
        };
        for report in self.state.unacknowledged() {
            up.send(message(Up::Report(report))).await?;
        }
        let mut heartbeat = tokio::time::interval(self.heartbeat);
        loop {
            if !self.state.reconciled && self.state.unacknowledged().next().is_none() {
                self.state.reconciled = true;
                self.seen.send(StubEvent::Reconciled).await?;
            }
            let told = tokio::select! {
                message = down.message() => {
                    let body = message?.context("the session ended")?.body.context("an empty message")?;
                    let (told, seen) = self.state.hear(body);
                    if let Some(seen) = seen {
                        self.seen.send(seen).await?;
                    }
                    told
                }
                _ = heartbeat.tick() => {
                    let active_workers = u32::try_from(self.state.held.len())?;
                    up.send(message(Up::Heartbeat(v1::Heartbeat { active_workers, ..v1::Heartbeat::default() }))).await?;
                    vec![]
                }
                permit = self.pace.acquire(), if self.state.running().is_some() => {
                    permit?.forget();
                    self.state.end_one()
                }
            };
            for report in told {
                up.send(message(Up::Report(report))).await?;
            }
        }
    }

    fn hello(&self) -> v1::Hello {
        let workers = self.state.held.iter().map(|(worker, held)| v1::InventoryEntry {
            worker: *worker,
            job: Some(held.job.clone()),
            finished: held.finished.is_some(),
        });
        v1::Hello {
            outpost: self.name.clone(),
            version: "stub".to_owned(),
            max_workers: self.max_workers,
            instance: "stub".to_owned(),
            workers: workers.collect(),
            ..v1::Hello::default()
        }
    }
}

impl State {
    /// What is to be told again over a new session, in order.
    fn unacknowledged(&self) -> impl Iterator<Item = v1::Report> {
        self.held.values().flat_map(|held| held.unacknowledged.iter().cloned())
    }

    /// The oldest worker that has not ended.
    fn running(&self) -> Option<u64> {
        self.held.iter().find(|(_, held)| held.finished.is_none()).map(|(worker, _)| *worker)
    }

    fn end_one(&mut self) -> Vec<v1::Report> {
        let ended = self.running().map(|worker| self.end(worker, failed("a stub does no work".to_owned())));
        ended.into_iter().flatten().collect()
    }

    fn end(&mut self, worker: u64, outcome: Outcome) -> Option<v1::Report> {
        let held = self.held.get_mut(&worker).filter(|held| held.finished.is_none())?;
        held.finished = Some(Instant::now());
        let body = v1::Finished { exit_code: Some(1), outcome: Some(outcome), ..v1::Finished::default() };
        Some(held.tell(worker, Body::Finished(body)))
    }

    /// Does as the coordinator says; answers what is to be told, and what to tell of it here.
    fn hear(&mut self, body: Down) -> (Vec<v1::Report>, Option<StubEvent>) {
        match body {
            Down::Assign(v1::Assignment { worker, job: Some(job), .. }) if !self.held.contains_key(&worker) => {
                let item = job.attempt().map_or(0, |job| job.item);
                let mut held = Held { item, job, told: 0, finished: None, unacknowledged: VecDeque::new() };
                let bodies = [Body::Accepted(v1::Accepted {}), Body::Started(v1::Started { terminal: None })];
                let told = bodies.map(|body| held.tell(worker, body)).to_vec();
                self.held.insert(worker, held);
                (told, Some(StubEvent::Started(item)))
            }
            Down::Stop(v1::Stop { worker, reason }) => (self.end(worker, stopped(reason)).into_iter().collect(), None),
            Down::Ack(v1::ReportAck { worker, seq, .. }) => (vec![], self.acknowledged(worker, seq)),
            Down::Forget(v1::Forget { worker }) => {
                let over = self.held.remove(&worker).filter(|held| !held.unacknowledged.is_empty());
                let over = over.and_then(|held| Some(StubEvent::Ended(held.item, held.finished?.elapsed())));
                (vec![], over)
            }
            Down::Assign(_) | Down::Welcome(_) | Down::Attach(_) | Down::Certificate(_) => (vec![], None),
        }
    }

    fn acknowledged(&mut self, worker: u64, seq: u64) -> Option<StubEvent> {
        let held = self.held.get_mut(&worker)?;
        let known = held.unacknowledged.len();
        held.unacknowledged.retain(|report| report.seq > seq);
        let was_last = known > 0 && held.unacknowledged.is_empty();
        held.finished.filter(|_| was_last).map(|since| StubEvent::Ended(held.item, since.elapsed()))
    }
}

impl Held {
    fn tell(&mut self, worker: u64, body: Body) -> v1::Report {
        self.told += 1;
        let report = v1::Report { worker, job: Some(self.job.clone()), seq: self.told, body: Some(body) };
        self.unacknowledged.push_back(report.clone());
        report
    }
}

fn message(body: Up) -> v1::OutpostMessage {
    v1::OutpostMessage { body: Some(body) }
}

fn failed(reason: String) -> Outcome {
    Outcome::Attempt(v1::AttemptOutcome { kind: Some(v1::attempt_outcome::Kind::Failed(reason)) })
}

fn stopped(reason: String) -> Outcome {
    Outcome::Attempt(v1::AttemptOutcome { kind: Some(v1::attempt_outcome::Kind::Stopped(reason)) })
}
