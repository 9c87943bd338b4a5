use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use sprint_core::ids::{ItemId, WorkerId};
use sprint_core::refusal::Code;
use sprint_core::time::Timestamp;
use sprint_core::worker::Worker;
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::caller;
use super::status::{malformed, of, plain, stopping};
use crate::face::Face;
use crate::service::fleet::connections::{TerminalEnd, Typed};
use crate::service::fleet::workers;
use crate::service::{WorkerFilter, now};

/// Chunks of a log on their way to a slow reader, of up to 256 KiB each.
const CHUNKS: usize = 4;

type Output<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl v1::workers_server::Workers for Face {
    type LogsStream = ReceiverStream<Result<v1::LogData, Status>>;
    type AttachStream = Output<v1::AttachOutput>;

    async fn list(&self, request: Request<v1::ListWorkersRequest>) -> Result<Response<v1::WorkerList>, Status> {
        let v1::ListWorkersRequest { item, outpost, live, limit } = request.into_inner();
        let filter = WorkerFilter {
            item: item.map(ItemId::new),
            outpost: outpost.map(|name| name.parse()).transpose().map_err(malformed)?,
            repo: None,
            live,
            limit: Some(limit).filter(|limit| *limit > 0),
        };
        let workers = workers::list(&self.sprint, &filter).await.map_err(of)?;
        Ok(Response::new(v1::WorkerList { workers: workers.into_iter().map(Into::into).collect() }))
    }

    async fn get(&self, request: Request<v1::WorkerRequest>) -> Result<Response<v1::Worker>, Status> {
        let id = WorkerId::new(request.into_inner().id);
        Ok(Response::new(workers::get(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn stop(&self, request: Request<v1::StopWorkerRequest>) -> Result<Response<v1::Worker>, Status> {
        let by = caller(&request)?;
        let v1::StopWorkerRequest { id, reason } = request.into_inner();
        let reason = if reason.is_empty() { "stopped by the overseer".to_owned() } else { reason };
        Ok(Response::new(workers::stop(&self.sprint, WorkerId::new(id), reason, by).await.map_err(of)?.into()))
    }

    async fn logs(&self, request: Request<v1::WorkerLogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let v1::WorkerLogsRequest { id, offset, follow, since_ms } = request.into_inner();
        let id = WorkerId::new(id);
        workers::get(&self.sprint, id).await.map_err(of)?;
        let mut offset = offset;
        if since_ms > 0 {
            let since = i64::try_from(since_ms).unwrap_or(i64::MAX);
            let time = Timestamp::from_millis(now().as_millis().saturating_sub(since));
            offset = offset.max(self.sprint.logs.offset_at(id, time).map_err(|error| of(error.into()))?);
        }
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let face = self.clone();
        self.tasks.spawn(async move {
            if let Err(status) = face.send_log(id, offset, follow, &sender).await {
                // The send fails when the reader is gone, which is no error.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn attach(
        &self,
        request: Request<Streaming<v1::AttachInput>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut input = request.into_inner();
        let first =
            input.message().await?.ok_or_else(|| plain(Code::RequestInvalid, "the first message names no worker"))?;
        let size = (first.columns.max(1), first.rows.max(1));
        let TerminalEnd { sender, receiver } =
            workers::attach(&self.sprint, WorkerId::new(first.worker), size).await.map_err(of)?;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            loop {
                let typed = tokio::select! {
                    () = stop.cancelled() => return,
                    () = sender.closed() => return,
                    message = input.message() => match message {
                        Ok(Some(v1::AttachInput { worker: _, data, columns, rows })) => {
                            Typed { data: data.to_vec(), columns, rows }
                        }
                        Ok(None) | Err(_) => return,
                    },
                };
                if sender.send(typed).await.is_err() {
                    return;
                }
            }
        });
        let output = ReceiverStream::new(receiver).map(|shown| match shown {
            Ok(data) => Ok(v1::AttachOutput { data: Bytes::from(data) }),
            Err(ended) => Err(plain(Code::TerminalEnded, ended)),
        });
        Ok(Response::new(Box::pin(output)))
    }
}

impl Face {
    /// Sends a worker's log from `offset` on, and with `follow` until the worker ended and all of it arrived.
    async fn send_log(
        &self,
        id: WorkerId,
        mut offset: u64,
        follow: bool,
        sender: &mpsc::Sender<Result<v1::LogData, Status>>,
    ) -> Result<(), Status> {
        let mut size = self.sprint.logs.follow(id);
        let mut events = self.sprint.notices().events();
        loop {
            size.borrow_and_update();
            events.borrow_and_update();
            let worker = workers::get(&self.sprint, id).await.map_err(of)?;
            loop {
                let logs = Arc::clone(&self.sprint.logs);
                let read = tokio::task::spawn_blocking(move || logs.read(id, offset)).await;
                let data = read.map_err(|error| plain(Code::Internal, error))?;
                let data = data.map_err(|error| of(error.into()))?;
                if data.is_empty() {
                    break;
                }
                let length = data.len() as u64;
                if sender.send(Ok(v1::LogData { offset, data: Bytes::from(data) })).await.is_err() {
                    return Ok(());
                }
                offset += length;
            }
            if !follow || ended(&worker, offset) {
                return Ok(());
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(stopping()),
                () = sender.closed() => return Ok(()),
                _ = size.changed() => {}
                // Any event may be the worker's end; they are rare beside log bytes.
                _ = events.changed(), if worker.state.is_live() => {}
                // A lost worker's log may never be whole.
                () = tokio::time::sleep(Duration::from_secs(2)), if !worker.state.is_live() => return Ok(()),
            }
        }
    }
}

/// Whether nothing more will come.
fn ended(worker: &Worker, offset: u64) -> bool {
    !worker.state.is_live() && worker.log_bytes.is_some_and(|bytes| offset >= bytes)
}
