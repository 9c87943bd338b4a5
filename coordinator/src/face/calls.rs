//! The calls under way over one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::Face;
use super::caller::{Peer, bearer};
use crate::service::admission::audit;

/// The headers of one request at most, in bytes; an honest one has a token and a few words.
const HEADERS_BYTES: usize = 16 << 10;

/// The calls of one connection.
pub(super) struct Calls {
    face: Face,
    peer: Peer,
    /// The number of concurrent calls; HTTP/2 refuses further ones before they reach the coordinator's code.
    most: u32,
    open: AtomicU32,
    /// Whether it is on record that there were too many.
    recorded: AtomicBool,
}

/// A call under way; it is counted for as long as this lives.
pub(super) struct Call(Arc<Calls>);

impl Calls {
    pub(super) fn new(face: Face, peer: Peer, most: u32) -> Arc<Self> {
        Arc::new(Self { face, peer, most, open: AtomicU32::new(0), recorded: AtomicBool::new(false) })
    }

    /// Counts a call; the answer to give when it is not to be served.
    pub(super) async fn begin(self: &Arc<Self>, headers: &HeaderMap, uri: &Uri) -> Result<Call, Response> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        let call = Call(Arc::clone(self));
        if open >= self.most && !self.recorded.swap(true, Ordering::Relaxed) {
            let why = format!("{open} calls are under way over it, and HTTP/2 takes no more");
            self.record(headers, "connection", &why).await;
        }
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        if bytes <= HEADERS_BYTES {
            return Ok(call);
        }
        let why = format!("its headers are of {bytes} bytes, which is more than {HEADERS_BYTES}");
        self.record(headers, uri.path(), &why).await;
        Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Body::from(format!("{why}\n"))).into_response())
    }

    /// Whether every call was answered.
    pub(super) fn are_over(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    async fn record(&self, headers: &HeaderMap, what: &str, why: &str) {
        let sprint = &self.face.sprint;
        let caller = self.peer.identify(sprint, bearer(headers)).unwrap_or_else(|_| self.peer.stranger());
        audit::refused(sprint, caller, what, why).await;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
