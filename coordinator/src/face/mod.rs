//! How callers reach the services: one TLS port for gRPC and git, plain HTTP on loopback.

mod caller;
mod calls;
mod connections;
pub mod grpc;
pub mod http;
pub mod listen;
mod span;

use std::sync::Arc;

use crate::service::Coordinator;

/// What every face holds.
#[derive(Clone)]
pub struct Face {
    pub sprint: Arc<Coordinator>,
    /// Where plain HTTP is served, for people.
    pub http_url: Arc<str>,
}
