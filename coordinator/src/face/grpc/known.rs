//! Calls that end when their caller is shut out, however long they stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use futures::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use sprint_core::access::Caller;
use tonic::Status;

use super::status::of;
use crate::face::caller::Peer;
use crate::service::Coordinator;
use crate::service::admission::{access, audit};

/// How often it is looked whether a token or a certificate has expired; whether one was revoked is known at once.
const LOOK: Duration = Duration::from_mins(1);

/// A call under way, and who makes it.
pub(super) struct Call {
    pub(super) sprint: Arc<Coordinator>,
    pub(super) peer: Peer,
    /// The credentials of the call.
    pub(super) token: Option<String>,
    pub(super) caller: Caller,
    pub(super) method: String,
}

impl Call {
    /// Carries the call out for as long as its caller counts.
    pub(super) async fn run(self, answer: impl Future<Output = Response>) -> Response {
        let mut over: BoxFuture<'static, Status> = Box::pin(self.over());
        let response = tokio::select! {
            biased;
            response = answer => response,
            status = &mut over => return status.into_http(),
        };
        response.map(|body| Body::new(WhileKnown { body, over: Some(over) }))
    }

    /// Answers when the caller does not count any more.
    async fn over(self) -> Status {
        let Self { sprint, peer, token, caller, method } = self;
        let mut changes = access::changes(&sprint);
        loop {
            changes.borrow_and_update();
            if let Err(error) = peer.identify(&sprint, token.as_deref()) {
                let status = of(error);
                audit::refused(&sprint, caller, &method, status.message()).await;
                return status;
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// An answer that ends when its caller is shut out.
struct WhileKnown {
    body: Body,
    /// None when it has ended so.
    over: Option<BoxFuture<'static, Status>>,
}

impl HttpBody for WhileKnown {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(over) = &mut self.over else { return Poll::Ready(None) };
        if let Poll::Ready(status) = over.as_mut().poll(context) {
            self.over = None;
            let trailers = status.into_http::<()>().headers().clone();
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
