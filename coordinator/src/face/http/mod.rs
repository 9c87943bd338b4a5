//! HTTP, on loopback only: git for outposts, and whether the coordinator is well.

mod git;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::service::Sprint;

/// Serves until `stop` is cancelled and every call has ended.
///
/// # Errors
/// What the transport says.
pub async fn serve(sprint: Arc<Sprint>, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/git/{*path}", any(git::serve))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here; git is served below /git/\n"))
        .with_state(sprint);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
