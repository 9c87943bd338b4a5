use bytes::Bytes;
use futures::StreamExt as _;
use sprint_core::ids::WorkerId;
use sprint_core::refusal::Code;
use sprint_core::request::{LogRange, WorkerFilter};
use sprint_proto::v1;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::caller;
use super::page::page;
use super::status::{Messages, messages, of, plain};
use crate::face::Face;
use crate::service::fleet::connections::{TerminalEnd, Typed};
use crate::service::fleet::logs::LogChunk;
use crate::service::fleet::workers;
use crate::service::watch;

#[tonic::async_trait]
impl v1::workers_server::Workers for Face {
    type LogsStream = Messages<v1::LogData>;
    type AttachStream = Messages<v1::AttachOutput>;

    async fn list(&self, request: Request<v1::ListWorkersRequest>) -> Result<Response<v1::WorkerList>, Status> {
        let filter = WorkerFilter::try_from(request.into_inner()).map_err(of)?;
        let (workers, more) = page(workers::list(&self.sprint, &filter).await.map_err(of)?);
        Ok(Response::new(v1::WorkerList { workers, more }))
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
        let chunks = watch::log(&self.sprint, LogRange::from(request.into_inner())).await.map_err(of)?;
        let encode = |LogChunk { worker: _, offset, data }| v1::LogData { offset, data };
        Ok(Response::new(messages(chunks, encode)))
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
        let stop = self.sprint.stop.clone();
        self.sprint.tasks.spawn(async move {
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
        Ok(Response::new(output.boxed()))
    }
}
