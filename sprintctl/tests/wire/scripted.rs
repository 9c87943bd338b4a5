//! The other side of the wire, as a test wants it: it can die in the middle and come back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sprint_core::event::{Event, EventKind, Seq};
use sprint_core::fixtures;
use sprint_core::ids::{ContextName, ItemId, OutpostName, WorkerId};
use sprint_core::item::{Item, Lease, Stage};
use sprint_core::time::Timestamp;
use sprint_core::worker::{Terminal, Worker, WorkerState};
use sprint_identity::connect::Credential;
use sprint_identity::context::{Context, Contexts};
use sprint_identity::testing::TestAuthority;
use sprint_proto::v1;
use sprint_proto::v1::events_server::{Events, EventsServer};
use sprint_proto::v1::identity_server::IdentityServer;
use sprint_proto::v1::items_server::{Items, ItemsServer};
use sprint_proto::v1::system_server::{System, SystemServer};
use sprint_proto::v1::workers_server::{Workers, WorkersServer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt, iter, pending};
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::Seen;

pub(crate) type Answer<T> = Result<Response<T>, Status>;
type Lines<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What it answers, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) last_seq: u64,
    pub(crate) log: Vec<u8>,
    pub(crate) wait: Vec<v1::WaitResponse>,
    /// What `Items.Add` answers instead of the items.
    pub(crate) refuse_add: Option<Status>,
    pub(crate) added: Vec<v1::NewItem>,
    pub(crate) tails: Vec<v1::TailRequest>,
    pub(crate) waits: Vec<v1::WaitRequest>,
    pub(crate) typed: Vec<v1::AttachInput>,
    pub(crate) worker_ended: bool,
    /// What `Events.Tail` answers when the audit is asked for.
    pub(crate) audit: Vec<Event>,
    pub(crate) created: Vec<v1::CreateTokenRequest>,
    /// What `Identity.CreateToken` hands out.
    pub(crate) token: String,
    /// What every call answers.
    pub(crate) refuse: Option<Status>,
    /// How each call was made.
    pub(crate) seen: Vec<Seen>,
}

#[derive(Clone)]
pub(crate) struct Scripted {
    script: Arc<Mutex<Script>>,
    pub(crate) authority: Arc<TestAuthority>,
    /// Where `sprintctl` keeps its contexts.
    pub(crate) home: Arc<TempDir>,
}

impl Default for Scripted {
    fn default() -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a directory"));
        Self { script: Arc::default(), authority: Arc::new(TestAuthority::make()), home }
    }
}

/// A running coordinator of a script; dropped, it is gone without a word, as after `kill -9`.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) script: Scripted,
    runtime: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Scripted {
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Script) -> T) -> T {
        use_it(&mut self.script.lock().expect("no test has panicked here"))
    }

    pub(crate) fn contexts(&self) -> Contexts {
        Contexts::at(self.home.path().to_owned())
    }

    /// A context as `coordinator serve` writes it.
    pub(crate) fn local_context(&self, address: SocketAddr) -> Context {
        let Credential::Certificate { chain_pem, key_pem } = self.authority.client("admin") else {
            unreachable!("it makes certificates")
        };
        Context {
            coordinator: address.to_string(),
            trust: self.authority.authority.pem().to_owned(),
            token: None,
            certificate: Some(chain_pem),
            key: Some(key_pem),
            data_dir: Some("/var/lib/sprint".into()),
        }
    }

    /// Starts, and lets `sprintctl` know it as `coordinator serve` does.
    pub(crate) async fn start(&self) -> Running {
        let running = self.start_unknown().await;
        let name = ContextName::new("local").expect("is a name");
        self.contexts().save(&name, &self.local_context(running.address)).expect("is saved");
        self.contexts().make_current(&name).expect("is there");
        running
    }

    pub(crate) async fn start_unknown(&self) -> Running {
        self.start_at("127.0.0.1:0".parse().expect("is an address")).await
    }

    /// Starts at an address, where another may have just died.
    pub(crate) async fn start_at(&self, address: SocketAddr) -> Running {
        // Of its own, so that its connections die with it.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listening = runtime.spawn(listen(address));
        let listener = listening.await.expect("does not panic");
        let address = listener.local_addr().expect("is bound");
        let script = self.clone();
        let server = Server::builder()
            .layer(InterceptorLayer::new(move |request| script.admit(request)))
            .add_service(IdentityServer::new(self.clone()))
            .add_service(ItemsServer::new(self.clone()))
            .add_service(WorkersServer::new(self.clone()))
            .add_service(EventsServer::new(self.clone()))
            .add_service(SystemServer::new(self.clone()))
            .serve_with_incoming({
                let _inside = runtime.enter();
                self.authority.incoming(listener)
            });
        runtime.spawn(server);
        Running { address, script: self.clone(), runtime: Some(runtime) }
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    for _ in 0..100 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{address} does not become free");
}

pub(crate) fn item(id: u64, stage: Stage) -> v1::Item {
    Item { title: format!("item {id}"), stage, ..fixtures::item(id, 1) }.into()
}

pub(crate) fn in_progress(id: u64) -> v1::Item {
    let outpost = OutpostName::new("local-1").expect("is a name");
    item(id, Stage::InProgress { lease: Lease { worker: WorkerId::new(1), outpost } })
}

fn event(seq: u64) -> v1::Event {
    Event {
        seq: Seq::new(seq),
        time: Timestamp::from_millis(0),
        kind: EventKind::ITEM_READIED,
        repo: None,
        item: Some(ItemId::new(seq % 2 + 1)),
        actor: "overseer".to_owned(),
        origin: Some("10.0.0.4:5120".to_owned()),
        data: serde_json::json!({}),
    }
    .into()
}

fn worker(id: u64, ended: bool) -> v1::Worker {
    let state = if ended { WorkerState::Done { exit_code: Some(0) } } else { WorkerState::Running };
    Worker {
        outpost: OutpostName::new("far-away").expect("is a name"),
        terminal: Some(Terminal {
            boot_id: "another host".to_owned(),
            tmux_socket: "/nowhere/tmux.sock".to_owned(),
            tmux_session: "w1".to_owned(),
        }),
        ..fixtures::worker(id, 1, state)
    }
    .into()
}

#[tonic::async_trait]
impl Events for Scripted {
    type TailStream = Lines<v1::EventBatch>;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Answer<Self::TailStream> {
        let request = request.into_inner();
        let last = self.with(|script| {
            script.tails.push(request);
            script.last_seq
        });
        let wanted = |seq: &u64| request.item.is_none_or(|item| seq % 2 + 1 == item);
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        let since = request.since.unwrap_or(last);
        let audit = self.with(|script| script.audit.clone()).into_iter().filter(|event| event.seq.get() > since);
        let events: Vec<v1::Event> = if request.audit {
            audit.take(limit).map(Into::into).collect()
        } else {
            (since + 1..=last).filter(wanted).take(limit).map(event).collect()
        };
        // Small batches, so that a reader has to put them together.
        let batches = events.chunks(3).map(<[_]>::to_vec).collect::<Vec<_>>();
        let batches = iter(batches.into_iter().map(|events| Ok(v1::EventBatch { events })));
        Ok(Response::new(if request.follow { Box::pin(batches.chain(pending())) } else { Box::pin(batches) }))
    }
}

#[tonic::async_trait]
impl System for Scripted {
    type BackupStream = Lines<v1::BackupChunk>;

    async fn backup(&self, _: Request<v1::BackupRequest>) -> Answer<Self::BackupStream> {
        Err(Status::unimplemented(""))
    }

    async fn check(&self, _: Request<v1::CheckRequest>) -> Answer<v1::CheckResponse> {
        Err(Status::unimplemented(""))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        let last_seq = self.with(|script| script.last_seq);
        Ok(Response::new(v1::StatusResponse { last_seq, ..Default::default() }))
    }
}

#[tonic::async_trait]
impl Workers for Scripted {
    type LogsStream = Lines<v1::LogData>;
    type AttachStream = Lines<v1::AttachOutput>;

    async fn list(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::WorkerList> {
        Err(Status::unimplemented(""))
    }

    async fn get(&self, request: Request<v1::WorkerRequest>) -> Answer<v1::Worker> {
        Ok(Response::new(worker(request.into_inner().id, self.with(|script| script.worker_ended))))
    }

    async fn stop(&self, _: Request<v1::StopWorkerRequest>) -> Answer<v1::Worker> {
        Err(Status::unimplemented(""))
    }

    async fn logs(&self, request: Request<v1::WorkerLogsRequest>) -> Answer<Self::LogsStream> {
        let v1::WorkerLogsRequest { id: _, offset, follow, since_ms: _ } = request.into_inner();
        let (log, ended) = self.with(|script| (script.log.clone(), script.worker_ended));
        let at = usize::try_from(offset).map_err(|_| Status::invalid_argument("too far"))?.min(log.len());
        let data = iter([Ok(v1::LogData { offset: at as u64, data: log[at..].to_vec().into() })]);
        Ok(Response::new(if follow && !ended { Box::pin(data.chain(pending())) } else { Box::pin(data) }))
    }

    async fn attach(&self, request: Request<Streaming<v1::AttachInput>>) -> Answer<Self::AttachStream> {
        let script = self.clone();
        let mut typed = request.into_inner();
        let (shown, output) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(input)) = typed.message().await {
                let echo = input.data.to_ascii_uppercase();
                script.with(|script| script.typed.push(input));
                if echo == *b"END" {
                    break;
                }
                shown.send(Ok(v1::AttachOutput { data: echo.into() })).ok();
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(output))))
    }
}

#[tonic::async_trait]
impl Items for Scripted {
    async fn add(&self, request: Request<v1::AddItemsRequest>) -> Answer<v1::ItemList> {
        let items = request.into_inner().items;
        let count = items.len() as u64;
        self.with(|script| script.added.extend(items));
        match self.with(|script| script.refuse_add.clone()) {
            Some(status) => Err(status),
            None => Ok(Response::new(v1::ItemList {
                items: (1..=count).map(|id| item(id, Stage::Ready)).collect(),
                more: false,
            })),
        }
    }

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Answer<v1::WaitResponse> {
        self.with(|script| script.waits.push(request.into_inner()));
        match self.with(|script| script.wait.pop()) {
            Some(answer) => Ok(Response::new(answer)),
            None => std::future::pending().await,
        }
    }

    async fn list(&self, _: Request<v1::ListItemsRequest>) -> Answer<v1::ItemList> {
        Err(Status::internal(""))
    }

    async fn get(&self, _: Request<v1::ItemRequest>) -> Answer<v1::Item> {
        Err(Status::not_found("there is no item 9; see those there are with: sprintctl item list"))
    }

    async fn edit(&self, _: Request<v1::EditItemRequest>) -> Answer<v1::Item> {
        Err(Status::unimplemented(""))
    }

    async fn ready(&self, _: Request<v1::ItemRequest>) -> Answer<v1::Item> {
        Err(Status::unimplemented(""))
    }

    async fn cancel(&self, _: Request<v1::CancelItemRequest>) -> Answer<v1::Item> {
        Err(Status::unimplemented(""))
    }

    async fn resolve(&self, _: Request<v1::ResolveItemRequest>) -> Answer<v1::Item> {
        Err(Status::unimplemented(""))
    }

    async fn retry(&self, _: Request<v1::ItemRequest>) -> Answer<v1::Item> {
        Err(Status::unimplemented(""))
    }

    async fn kept(&self, _: Request<v1::ItemRequest>) -> Answer<v1::KeptList> {
        Ok(Response::new(v1::KeptList::default()))
    }

    async fn hand_offs(&self, _: Request<v1::ItemRequest>) -> Answer<v1::HandOffList> {
        Ok(Response::new(v1::HandOffList::default()))
    }

    async fn explain(&self, _: Request<v1::ItemRequest>) -> Answer<v1::Explanation> {
        Err(Status::unimplemented(""))
    }
}
