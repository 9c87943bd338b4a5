//! The permission that each path needs.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sprint_core::access::{Holders, Permission};
use tracing::Instrument as _;

use super::failure::Failure;
use crate::face::caller::{Peer, bearer};
use crate::face::{Face, span};
use crate::metrics::METRICS;
use crate::service::ServiceError;
use crate::service::admission::access::allow;
use crate::service::admission::audit;

/// What stands before a handler.
#[derive(Clone)]
pub(super) struct Gatekeeper {
    pub(super) face: Face,
    /// The path as it is declared.
    pub(super) path: &'static str,
    pub(super) permission: Permission,
}

/// Makes a span of a request.
pub(super) async fn check(State(keeper): State<Gatekeeper>, request: Request, next: Next) -> Response {
    let span = span::of_call(&format!("{} {}", request.method(), keeper.path));
    let response = answer(keeper, request, next).instrument(span.clone()).await;
    span::answered(&span, response.status().as_u16(), response.status().is_server_error());
    response
}

/// Lets a request through to its handler, or refuses and records it.
async fn answer(keeper: Gatekeeper, request: Request, next: Next) -> Response {
    let Gatekeeper { face, path: _, permission } = keeper;
    if permission.holders() == Holders::Everyone {
        return next.run(request).await;
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let Some(peer) = request.extensions().get::<Peer>() else {
        let unknown = ServiceError::Io(std::io::Error::other("the connection is not known"));
        return Failure(unknown).into_response();
    };
    let (caller, refused) = match peer.identify(&face.sprint, bearer(request.headers())) {
        Ok(caller) => (caller.clone(), allow(&caller, permission)),
        Err(error) => (peer.stranger(), Err(error)),
    };
    span::called_by(&caller);
    match refused {
        Ok(()) => {
            let began = Instant::now();
            let response = next.run(request).await;
            METRICS.calls.of(what).observe(began.elapsed().as_secs_f64());
            response
        }
        Err(error) => {
            audit::refused(&face.sprint, caller, &what, &error.to_string()).await;
            Failure(error).into_response()
        }
    }
}
