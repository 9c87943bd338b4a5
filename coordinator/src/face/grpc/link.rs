//! What outposts speak: a session for control, a stream for logs, one for each open terminal.

mod logs;
mod session;
mod terminal;

use std::time::Duration;

use sprint_core::access::{Caller, Identity};
use sprint_core::ids::{KeyId, OutpostName};
use sprint_core::time::Timestamp;
use sprint_proto::v1;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::caller_of;
use crate::face::Face;
use crate::face::caller::Peer;
use crate::service::{Sprint, audit, now, outposts};

/// An outpost's call, which may last for days.
#[derive(Debug, Clone)]
struct Link {
    outpost: OutpostName,
    caller: Caller,
    /// The key of the certificate that opened the call.
    key: Option<KeyId>,
    /// When that certificate ceases to count.
    expires_at: Option<Timestamp>,
}

impl Link {
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = caller_of(request)?.clone();
        let Identity::Outpost(outpost) = caller.identity.clone() else {
            return Err(Status::permission_denied("only outposts speak here"));
        };
        let peer = request.extensions().get::<Peer>();
        let (key, expires_at) = peer.map_or((None, None), |peer| (peer.key.clone(), peer.expires_at));
        Ok(Self { outpost, caller, key, expires_at })
    }

    /// Whether the outpost still belongs here, by the key that opened the call.
    fn is_member(&self, sprint: &Sprint) -> bool {
        self.key.as_ref().is_some_and(|key| outposts::is_member(sprint, &self.outpost, key))
    }

    /// Answers when the certificate that opened the call has expired.
    async fn expired(&self) {
        // Looked at again and again: a clock may be set meanwhile.
        const LOOK: Duration = Duration::from_mins(1);
        let Some(at) = self.expires_at else { return std::future::pending().await };
        while now() < at {
            tokio::time::sleep(at.since(now()).min(LOOK)).await;
        }
    }
}

/// Records that a call was ended for what its outpost is or sent.
async fn record(face: &Face, link: &Link, method: &str, status: &Status) {
    if status.code() != Code::Unavailable {
        audit::refused(&face.sprint, link.caller.clone(), method, status.message()).await;
    }
}

/// What ends the calls of an outpost that was removed.
fn removed() -> Status {
    Status::unauthenticated(
        "this outpost was removed; join again with a new token (coordinator token create --kind outpost)",
    )
}

/// What ends a call whose certificate has expired; the outpost calls again with its next one.
fn expired() -> Status {
    Status::unauthenticated("the certificate has expired; connect again with the next one")
}

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
