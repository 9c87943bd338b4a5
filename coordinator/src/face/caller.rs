//! Who is at the other end of a connection, and of each request that comes over it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{Extensions, HeaderMap, header};
use sprint_core::access::{Caller, Identity};
use sprint_core::event::Actor;
use sprint_core::ids::KeyId;
use sprint_core::refusal::Code;
use sprint_core::time::Timestamp;

use crate::service::admission::access::{Credentials, identify};
use crate::service::{Coordinator, ServiceError, now};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The key of the certificate that it has shown.
    pub(super) key: Option<KeyId>,
    /// When that certificate ceases to count.
    pub(super) expires_at: Option<Timestamp>,
    pub(super) standing: Arc<Standing>,
}

/// What a connection has come to.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Whether a caller that is known has used it.
    known: AtomicBool,
    /// Whether anything was asked over it.
    used: AtomicBool,
}

impl Standing {
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

impl Peer {
    /// A connection from which nothing has come yet.
    pub(super) fn new(address: SocketAddr, key: Option<KeyId>, expires_at: Option<Timestamp>) -> Self {
        Self { address, key, expires_at, standing: Arc::default() }
    }

    pub(super) fn stranger(&self) -> Caller {
        Caller { identity: Identity::Stranger, from: self.address.to_string() }
    }

    /// Finds out who makes a request.
    pub(super) fn identify(&self, sprint: &Coordinator, token: Option<&str>) -> Result<Caller, ServiceError> {
        self.standing.used.store(true, Ordering::Relaxed);
        if self.expires_at.is_some_and(|at| at <= now()) {
            let why = "the certificate has expired; connect again with the next one";
            return Err(ServiceError::new(Code::CertificateExpired, why));
        }
        let identity = identify(sprint, Credentials { key: self.key.as_ref(), token })?;
        if identity != Identity::Stranger {
            self.standing.known.store(true, Ordering::Relaxed);
        }
        Ok(Caller { identity, from: self.address.to_string() })
    }
}

/// The token that a request shows: as `Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The caller that the access check has put on a request.
pub(super) fn of(extensions: &Extensions) -> Option<&Caller> {
    extensions.get::<Caller>()
}

/// A caller as the cause of events.
pub(super) fn actor(caller: &Caller) -> Actor {
    Actor::Caller(caller.clone())
}
