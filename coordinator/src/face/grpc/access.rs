//! The check of the permission that each method needs. A method that is not listed is refused.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::Response;
use sprint_core::access::{Caller, Identity, Permission};
use sprint_core::act::Act;
use sprint_core::refusal::{Code as SprintCode, Refusal};
use sprint_proto::PERMISSIONS;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::known::Call;
use super::status::{of, plain, refuse};
use crate::face::Face;
use crate::face::caller::{Peer, bearer};
use crate::face::span;
use crate::metrics::METRICS;
use crate::service::admission::access::{NO_CALLER, allow};
use crate::service::admission::audit;

/// How long a call of a stranger may take: its body may trickle in, or not come at all.
const STRANGER_LIMIT: Duration = Duration::from_secs(8);

/// The permissions of the services that are not the protocol's own.
const STANDARD: &[(&str, Permission)] = &[
    ("/grpc.health.v1.Health/Check", Permission::Enter),
    ("/grpc.health.v1.Health/Watch", Permission::View),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Permission::View),
];

/// The permission that each method of each service needs; the protocol's files declare those of its own.
fn all_methods() -> impl Iterator<Item = &'static (&'static str, Permission)> {
    STANDARD.iter().chain(PERMISSIONS)
}

/// The entry for a method.
fn permission(method: &str) -> Option<Permission> {
    all_methods().find(|(known, _)| *known == method).map(|(_, permission)| *permission)
}

/// Makes a span of a call, which ends with its answer, or where the answer is a stream with the beginning of that.
pub(super) async fn check(State(face): State<Face>, request: Request, next: Next) -> Response {
    // A path that nothing is served at is whatever a stranger has typed.
    let method = permission(request.uri().path()).map_or("unknown", |_| method(request.uri()));
    let span = span::of_call(method);
    let response = answer(&face, request, next).instrument(span.clone()).await;
    // An answer that succeeds, or a stream that begins, has no status yet.
    let code = response.extensions().get::<Status>().map_or(Code::Ok, Status::code);
    span::answered(&span, code, code == Code::Internal);
    response
}

/// Lets a call through to its service, with its caller on it, or refuses and records it.
async fn answer(face: &Face, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return refusal(&plain(SprintCode::Internal, "the connection is not known"));
    };
    let caller = match peer.identify(&face.sprint, bearer(request.headers())) {
        Ok(caller) => {
            span::called_by(&caller);
            caller
        }
        Err(error) => {
            let status = of(error);
            audit::refused(&face.sprint, peer.stranger(), method(request.uri()), status.message()).await;
            return refusal(&status);
        }
    };
    if let Err(status) = may(&caller, request.uri().path()) {
        audit::refused(&face.sprint, caller, method(request.uri()), status.message()).await;
        return refusal(&status);
    }
    request.extensions_mut().insert(caller.clone());
    let method = method(request.uri()).to_owned();
    let began = Instant::now();
    let response = match &caller.identity {
        Identity::Stranger => match tokio::time::timeout(STRANGER_LIMIT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => refusal(&plain(SprintCode::RequestTimedOut, "the call did not end in time")),
        },
        Identity::Person { .. } => {
            let token = bearer(request.headers()).map(ToOwned::to_owned);
            let (sprint, caller, method) = (Arc::clone(&face.sprint), caller.clone(), method.clone());
            Call { sprint, peer, token, caller, method }.run(next.run(request)).await
        }
        // Its calls look by themselves whether it still belongs here.
        Identity::Outpost(_) => next.run(request).await,
    };
    // The method is one of the table, so the series are bounded.
    METRICS.calls.of(method.clone()).observe(began.elapsed().as_secs_f64());
    if let Some(status) = response.extensions().get::<Status>().filter(|status| is_refusal(status, &caller)) {
        audit::refused(&face.sprint, caller, &method, status.message()).await;
    }
    response
}

/// Whether a failed call is one that was refused, rather than one whose answer is no.
///
/// People ask for what is not there, or not possible as things stand; outposts and strangers have no reason to.
fn is_refusal(status: &Status, caller: &Caller) -> bool {
    match status.code() {
        Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::Unauthenticated => true,
        // What the coordinator failed at has a cause; what made no sense to begin with has none.
        Code::Internal => status.source().is_none(),
        Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::Unimplemented => {
            !matches!(caller.identity, Identity::Person { .. })
        }
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Aborted | Code::Unavailable | Code::DataLoss => false,
    }
}

fn may(caller: &Caller, path: &str) -> Result<(), Status> {
    match (permission(path), caller.identity.role()) {
        (Some(permission), _) => allow(caller, permission).map_err(of),
        (None, None) => Err(refuse(&Refusal::new(SprintCode::CallerUnauthenticated, NO_CALLER).next(Act::LogIn))),
        (None, Some(_)) => Err(plain(SprintCode::RequestUnknown, "there is no such method")),
    }
}

/// A method's name without the package: what people read.
fn method(uri: &Uri) -> &str {
    let path = uri.path().trim_start_matches('/');
    path.strip_prefix("sprint.v1.").unwrap_or(path)
}

fn refusal(status: &Status) -> Response {
    status.clone().into_http()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use prost::Message as _;
    use sprint_proto::DESCRIPTORS;

    use super::*;

    /// Every method that the descriptors name, as a path.
    fn methods(descriptors: &[u8]) -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(descriptors).expect("descriptors");
        let mut methods = BTreeSet::new();
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        methods
    }

    #[test]
    fn every_method_of_every_service_is_in_the_table_and_nothing_else() {
        let mut served = methods(DESCRIPTORS);
        served.extend(methods(tonic_health::pb::FILE_DESCRIPTOR_SET));
        served.extend(methods(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
        let listed = all_methods().map(|(method, _)| (*method).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(listed.len(), all_methods().count(), "a method is listed twice");
        assert_eq!(listed, served);
    }

    fn caller(identity: Identity) -> Caller {
        Caller { identity, from: "10.0.0.1:1".to_owned() }
    }

    #[test]
    fn who_may_call_what() {
        let person = |role| Identity::Person { role, name: "ann".parse().expect("a name") };
        let identities = [
            ("admin", person(sprint_core::access::PersonRole::Admin)),
            ("operator", person(sprint_core::access::PersonRole::Operator)),
            ("viewer", person(sprint_core::access::PersonRole::Viewer)),
            ("outpost", Identity::Outpost("a".parse().expect("a name"))),
            ("stranger", Identity::Stranger),
        ];
        let mut table = String::new();
        let mut line = |route: &str, may: &dyn Fn(&Caller) -> bool| {
            let who = identities.iter().filter(|(_, identity)| may(&caller(identity.clone())));
            let who = who.map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
            writeln!(table, "{route:60} {who}").expect("a string takes everything");
        };
        for method in all_methods().map(|(method, _)| *method).chain(["/sprint.v1.Items/Unheard"]) {
            line(method, &|caller| may(caller, method).is_ok());
        }
        for (path, permission) in crate::face::http::permissions() {
            line(&format!("GET {path}"), &|caller| allow(caller, permission).is_ok());
        }
        insta::assert_snapshot!(table);
    }
}
