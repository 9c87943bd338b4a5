//! An outpost's call, which may last for days.

use std::time::Duration;

use sprint_core::access::{Caller, Identity};
use sprint_core::act::Act;
use sprint_core::ids::{KeyId, OutpostName};
use sprint_core::refusal;
use sprint_core::time::Timestamp;
use sprint_core::token::TokenKind;
use tonic::{Code, Request, Status};

use crate::face::Face;
use crate::face::caller::Peer;
use crate::face::grpc::caller_of;
use crate::face::grpc::status::{plain, refuse};
use crate::service::admission::audit;
use crate::service::fleet::outposts;
use crate::service::{Coordinator, now};

/// An outpost's call, which may last for days.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) outpost: OutpostName,
    pub(super) caller: Caller,
    /// The key of the certificate that opened the call.
    pub(super) key: Option<KeyId>,
    /// When that certificate ceases to count.
    pub(super) expires_at: Option<Timestamp>,
}

impl Link {
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = caller_of(request)?.clone();
        let Identity::Outpost(outpost) = caller.identity.clone() else {
            return Err(plain(refusal::Code::CallerForbidden, "only outposts may call this"));
        };
        let peer = request.extensions().get::<Peer>();
        let (key, expires_at) = peer.map_or((None, None), |peer| (peer.key.clone(), peer.expires_at));
        Ok(Self { outpost, caller, key, expires_at })
    }

    /// Whether the outpost still belongs here, by the key that opened the call.
    pub(super) fn is_member(&self, sprint: &Coordinator) -> bool {
        self.key.as_ref().is_some_and(|key| outposts::is_member(sprint, &self.outpost, key))
    }

    /// Answers when the certificate that opened the call has expired.
    pub(super) async fn expired(&self) {
        // Looked at again and again: a clock may be set meanwhile.
        const LOOK: Duration = Duration::from_mins(1);
        let Some(at) = self.expires_at else { return std::future::pending().await };
        while now() < at {
            tokio::time::sleep(at.since(now()).min(LOOK)).await;
        }
    }
}

/// Records that a call was ended for what its outpost is or sent.
pub(super) async fn record(face: &Face, link: &Link, method: &str, status: &Status) {
    if status.code() != Code::Unavailable {
        audit::refused(&face.sprint, link.caller.clone(), method, status.message()).await;
    }
}

/// The status that ends the calls of a removed outpost.
pub(super) fn removed() -> Status {
    let why = "this outpost was removed; join again with a new token";
    refuse(&refusal::Refusal::new(refusal::Code::OutpostRemoved, why).next(Act::CreateToken(TokenKind::Outpost)))
}

/// The status that ends a call whose certificate has expired; the outpost calls again with its next one.
pub(super) fn expired() -> Status {
    plain(refusal::Code::CertificateExpired, "the certificate has expired; connect again with the next one")
}
