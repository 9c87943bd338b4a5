//! A coordinator that keeps what it is told, in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sprint_core::assignment::{Assignment, Report};
use sprint_core::ids::WorkerId;
use sprint_identity::connect::Credential;
use sprint_identity::testing::TestAuthority;
use sprint_proto::MAX_MESSAGE_BYTES;
use sprint_proto::v1::link_server::{Link, LinkServer};
use sprint_proto::v1::{self, coordinator_message, outpost_message};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::LIMIT;

/// What it knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) hellos: Vec<v1::Hello>,
    pub(crate) heartbeats: Vec<v1::Heartbeat>,
    pub(crate) found: Vec<v1::Found>,
    /// How often snapshots are asked for; 0 for never.
    pub(crate) snapshot_ms: u64,
    /// Each report once, in the order of arrival.
    pub(crate) reports: Vec<Report>,
    /// How many came that were here already.
    pub(crate) repeats: usize,
    pub(crate) logs: BTreeMap<WorkerId, Vec<u8>>,
    /// What an attached terminal showed, and how it ended.
    pub(crate) shown: Vec<u8>,
    pub(crate) ended: Option<String>,
    /// The reason for which the next hellos are refused.
    pub(crate) refuse: Option<String>,
    /// Reports are kept and not acknowledged.
    pub(crate) mute: bool,
    down: Option<mpsc::Sender<Result<v1::CoordinatorMessage, Status>>>,
    keyboard: Option<mpsc::Sender<Result<v1::AttachInput, Status>>>,
}

impl State {
    pub(crate) fn log(&self, worker: WorkerId) -> Vec<u8> {
        self.logs.get(&worker).cloned().unwrap_or_default()
    }
}

#[derive(Clone)]
struct Face {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    base_url: String,
    authority: Arc<TestAuthority>,
    /// Ends the streams: a server that is dropped leaves its connections alone.
    stop: CancellationToken,
}

/// The coordinator, at an address that stays while it is away.
pub(crate) struct Coordinator {
    face: Face,
    address: SocketAddr,
}

impl Coordinator {
    pub(crate) async fn start(base_url: String) -> Self {
        let stop = CancellationToken::new();
        let face = Face {
            state: Arc::default(),
            changed: Arc::default(),
            base_url,
            authority: Arc::new(TestAuthority::make()),
            stop,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        serve(face.clone(), listener);
        Self { face, address }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets an agent in that has its data in `data`, as if it had joined with a token before.
    pub(crate) fn admit(&self, data: &std::path::Path) {
        let dir = data.join("identity");
        if dir.exists() {
            return;
        }
        std::fs::create_dir_all(&dir).expect("is made");
        let Credential::Certificate { chain_pem, key_pem } = self.face.authority.client("outpost test") else {
            unreachable!("it issues certificates")
        };
        let trust_pem = self.face.authority.authority.pem().to_owned();
        for (name, pem) in [("key.pem", key_pem), ("cert.pem", chain_pem), ("trust.pem", trust_pem)] {
            std::fs::write(dir.join(name), pem).expect("is written");
        }
    }

    /// Breaks every connection and listens no more; what it knows stays.
    pub(crate) fn go_away(&mut self) {
        self.face.stop.cancel();
        self.with(|state| {
            state.down = None;
            state.keyboard = None;
        });
    }

    pub(crate) async fn come_back(&mut self) {
        self.face.stop = CancellationToken::new();
        let deadline = tokio::time::Instant::now() + LIMIT;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "the port stays taken: {error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        serve(self.face.clone(), listener);
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.face.state.lock().expect("not poisoned"))
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let changed = self.face.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.with(|state| holds(state)) {
                    return;
                }
                changed.await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, wait).await.is_ok(), "not in time: {what}");
    }

    async fn send(&self, body: coordinator_message::Body) {
        let down = self.with(|state| state.down.clone()).expect("an agent is here");
        down.send(Ok(v1::CoordinatorMessage { body: Some(body) })).await.expect("the agent listens");
    }

    pub(crate) async fn assign(&self, assignment: Assignment) {
        self.send(coordinator_message::Body::Assign(assignment.into())).await;
    }

    pub(crate) async fn stop_worker(&self, worker: WorkerId, reason: &str) {
        let stop = v1::Stop { worker: worker.get(), reason: reason.to_owned() };
        self.send(coordinator_message::Body::Stop(stop)).await;
    }

    pub(crate) async fn forget(&self, worker: WorkerId) {
        self.send(coordinator_message::Body::Forget(v1::Forget { worker: worker.get() })).await;
    }

    pub(crate) async fn attach(&self, worker: WorkerId, columns: u32, rows: u32) {
        let attach = v1::AttachOpen { session: 5, worker: worker.get(), columns, rows };
        self.send(coordinator_message::Body::Attach(attach)).await;
    }

    /// Types into the attached terminal.
    pub(crate) async fn press(&self, keys: &str) {
        self.until("a terminal is attached", |state| state.keyboard.is_some()).await;
        let keyboard = self.with(|state| state.keyboard.clone()).expect("a terminal is attached");
        let input = v1::AttachInput { worker: 0, data: Bytes::from(keys.to_owned()), columns: 0, rows: 0 };
        keyboard.send(Ok(input)).await.expect("the terminal listens");
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.face.stop.cancel();
    }
}

fn serve(face: Face, listener: TcpListener) {
    let stop = face.stop.clone();
    let incoming = face.authority.incoming(listener);
    let service = LinkServer::new(face).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let server = tonic::transport::Server::builder()
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(16 << 20)
        .add_service(service)
        .serve_with_incoming(incoming);
    tokio::spawn(async move {
        tokio::select! {
            result = server => result.expect("it serves"),
            () = stop.cancelled() => {}
        }
    });
}

type Down<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Link for Face {
    type SessionStream = Down<v1::CoordinatorMessage>;
    type LogsStream = Down<v1::LogAck>;
    type TerminalStream = Down<v1::AttachInput>;

    async fn session(
        &self,
        request: Request<Streaming<v1::OutpostMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if let Some(reason) = self.state.lock().expect("not poisoned").refuse.clone() {
            return Err(Status::failed_precondition(reason));
        }
        let mut up = request.into_inner();
        let (down, messages) = mpsc::channel(1024);
        let face = self.clone();
        let stop = self.stop.clone();
        let listen = async move {
            while let Some(Ok(message)) = up.next().await {
                face.hear(message, &down).await;
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(listen));
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }

    async fn logs(&self, request: Request<Streaming<v1::LogChunk>>) -> Result<Response<Self::LogsStream>, Status> {
        let mut up = request.into_inner();
        let (down, acks) = mpsc::channel(1024);
        let face = self.clone();
        let stop = self.stop.clone();
        let listen = async move {
            while let Some(Ok(v1::LogChunk { worker, offset, data })) = up.next().await {
                let durable = {
                    let mut state = face.state.lock().expect("not poisoned");
                    let log = state.logs.entry(WorkerId::new(worker)).or_default();
                    assert!(offset <= log.len() as u64, "a gap in the log of worker {worker}");
                    if offset == log.len() as u64 {
                        log.extend_from_slice(&data);
                    }
                    log.len() as u64
                };
                face.changed.notify_waiters();
                if down.send(Ok(v1::LogAck { worker, durable })).await.is_err() {
                    return;
                }
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(listen));
        Ok(Response::new(Box::pin(ReceiverStream::new(acks))))
    }

    async fn terminal(
        &self,
        request: Request<Streaming<v1::TerminalOutput>>,
    ) -> Result<Response<Self::TerminalStream>, Status> {
        let mut up = request.into_inner();
        let (keyboard, keys) = mpsc::channel(64);
        self.state.lock().expect("not poisoned").keyboard = Some(keyboard);
        self.changed.notify_waiters();
        let face = self.clone();
        let stop = self.stop.clone();
        let listen = async move {
            while let Some(Ok(v1::TerminalOutput { session: _, data, ended })) = up.next().await {
                let mut state = face.state.lock().expect("not poisoned");
                state.shown.extend_from_slice(&data);
                state.ended = ended.or(state.ended.take());
                drop(state);
                face.changed.notify_waiters();
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(listen));
        Ok(Response::new(Box::pin(ReceiverStream::new(keys))))
    }
}

impl Face {
    async fn hear(&self, message: v1::OutpostMessage, down: &mpsc::Sender<Result<v1::CoordinatorMessage, Status>>) {
        let mut answer = None;
        match message.body.expect("a body") {
            outpost_message::Body::Hello(hello) => {
                let mut state = self.state.lock().expect("not poisoned");
                state.hellos.push(hello);
                state.down = Some(down.clone());
                let base_url = self.base_url.clone();
                let (version, snapshot_ms) = ("test".to_owned(), state.snapshot_ms);
                let welcome = v1::Welcome { heartbeat_ms: 200, git_base_url: base_url, version, snapshot_ms };
                answer = Some(coordinator_message::Body::Welcome(welcome));
            }
            outpost_message::Body::Renew(_) | outpost_message::Body::Activity(_) => {}
            outpost_message::Body::Found(found) => {
                self.state.lock().expect("not poisoned").found.push(found);
            }
            outpost_message::Body::Heartbeat(heartbeat) => {
                self.state.lock().expect("not poisoned").heartbeats.push(heartbeat);
            }
            outpost_message::Body::Report(report) => {
                let report = Report::try_from(report).expect("a report");
                let mut state = self.state.lock().expect("not poisoned");
                let newest = state.reports_of(report.worker).last().map_or(0, |last| last.seq);
                let ack = v1::ReportAck { worker: report.worker.get(), seq: report.seq, refused: None, item: None };
                if report.seq <= newest {
                    state.repeats += 1;
                } else {
                    assert_eq!(report.seq, newest + 1, "reports come in order");
                    state.reports.push(report);
                }
                answer = (!state.mute).then_some(coordinator_message::Body::Ack(ack));
            }
        }
        if let Some(body) = answer {
            down.send(Ok(v1::CoordinatorMessage { body: Some(body) })).await.ok();
        }
        self.changed.notify_waiters();
    }
}
