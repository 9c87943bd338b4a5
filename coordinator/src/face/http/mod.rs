//! HTTP: git for outposts and people, and whether the coordinator is well.

mod git;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use tonic::Status;

use super::Face;
use super::caller::Peer;
use crate::service::admission::audit;

/// The paths, and an answer for all others.
pub fn router(face: &Face) -> Router {
    let git = git::State::new(face);
    Router::new()
        .route("/git/{*path}", any(git::serve).with_state(git))
        .route("/healthz", get(async || "ok\n"))
        .fallback(nothing)
        .with_state(face.clone())
}

async fn nothing(State(face): State<Face>, request: Request) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>() {
        let what = format!("{} {}", request.method(), request.uri().path());
        audit::refused(&face.sprint, peer.stranger(), &what, "there is nothing there").await;
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|value| value.starts_with("application/grpc")) {
        return Status::unimplemented("there is no such service").into_http();
    }
    (StatusCode::NOT_FOUND, "there is nothing here; git is served below /git/\n").into_response()
}
