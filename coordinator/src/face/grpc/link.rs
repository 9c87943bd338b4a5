//! What outposts speak: a session for control, a stream for logs, one for each open terminal.

mod logs;
mod session;
mod terminal;

use sprint_proto::v1;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Face;

#[tonic::async_trait]
impl v1::link_server::Link for Face {
    type SessionStream = ReceiverStream<Result<v1::CoordinatorMessage, Status>>;
    type LogsStream = ReceiverStream<Result<v1::LogAck, Status>>;
    type TerminalStream = ReceiverStream<Result<v1::AttachInput, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::OutpostMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Ok(Response::new(session::open(self, request.into_inner()).await?))
    }

    async fn logs(&self, request: Request<Streaming<v1::LogChunk>>) -> Result<Response<Self::LogsStream>, Status> {
        Ok(Response::new(logs::open(self, request.into_inner())))
    }

    async fn terminal(
        &self,
        request: Request<Streaming<v1::TerminalOutput>>,
    ) -> Result<Response<Self::TerminalStream>, Status> {
        Ok(Response::new(terminal::open(self, request.into_inner()).await?))
    }
}
