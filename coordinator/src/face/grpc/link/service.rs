//! The calls that outposts make.

use sprint_proto::v1;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::face::Face;

use crate::face::grpc::link::call::Link;
use crate::face::grpc::link::{logs, session, terminal};

#[tonic::async_trait]
impl v1::link_server::Link for Face {
    type SessionStream = ReceiverStream<Result<v1::CoordinatorMessage, Status>>;
    type LogsStream = ReceiverStream<Result<v1::LogAck, Status>>;
    type TerminalStream = ReceiverStream<Result<v1::AttachInput, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::OutpostMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let link = Link::of(&request)?;
        Ok(Response::new(session::open(self, link, request.into_inner()).await?))
    }

    async fn logs(&self, request: Request<Streaming<v1::LogChunk>>) -> Result<Response<Self::LogsStream>, Status> {
        let link = Link::of(&request)?;
        Ok(Response::new(logs::open(self, link, request.into_inner())))
    }

    async fn terminal(
        &self,
        request: Request<Streaming<v1::TerminalOutput>>,
    ) -> Result<Response<Self::TerminalStream>, Status> {
        let link = Link::of(&request)?;
        Ok(Response::new(terminal::open(self, &link, request.into_inner()).await?))
    }
}
