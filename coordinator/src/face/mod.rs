//! How callers reach the services: one TLS port for gRPC and git, plain HTTP on loopback.

mod caller;
mod calls;
mod connections;
pub mod grpc;
pub mod http;
pub mod listen;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::Coordinator;

/// What every face holds.
#[derive(Clone)]
pub struct Face {
    pub sprint: Arc<Coordinator>,
    /// Streams end themselves when this is cancelled; a graceful shutdown would wait for them for ever.
    pub stop: CancellationToken,
    /// Owns the tasks behind connections and streams.
    pub tasks: TaskTracker,
    /// Where plain HTTP is served, for people.
    pub http_url: Arc<str>,
}
