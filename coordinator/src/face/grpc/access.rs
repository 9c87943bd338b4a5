//! Who may call what. What is not listed is refused.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::Response;
use sprint_core::access::{Caller, Identity, Role};
use sprint_core::act::Act;
use sprint_core::refusal::{Code as SprintCode, Refusal};
use tonic::{Code, Status};

use super::known::Call;
use super::status::{of, plain, refuse};
use crate::face::Face;
use crate::face::caller::{Peer, bearer};
use crate::service::admission::audit;

const NO_CALLER: &str = "the call is not authenticated; it carries neither a certificate nor a token";

/// How long a call of a stranger may take: its body may trickle in, or not come at all.
const STRANGER_LIMIT: Duration = Duration::from_secs(8);

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// Whoever comes; the method itself looks at what they show.
    Anyone,
    Roles(&'static [Role]),
}

use Role::{Admin, Operator, Outpost, Viewer};

/// To look at everything that is no secret.
const LOOK: Allowed = Allowed::Roles(&[Admin, Operator, Viewer]);
/// To steer the work.
const STEER: Allowed = Allowed::Roles(&[Admin, Operator]);
/// To decide who and what belongs here at all.
const RULE: Allowed = Allowed::Roles(&[Admin]);
/// To report, to be told, to bring logs.
const LINK: Allowed = Allowed::Roles(&[Outpost]);

/// Every method of every service. A worker has no way here: it speaks with its outpost only.
const TABLE: &[(&str, Allowed)] = &[
    ("/grpc.health.v1.Health/Check", Allowed::Anyone),
    ("/grpc.health.v1.Health/Watch", LOOK),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", LOOK),
    ("/sprint.v1.Changes/Drop", STEER),
    ("/sprint.v1.Changes/Explain", LOOK),
    ("/sprint.v1.Changes/Gates", LOOK),
    ("/sprint.v1.Changes/Get", LOOK),
    ("/sprint.v1.Changes/Graph", LOOK),
    ("/sprint.v1.Changes/Land", STEER),
    ("/sprint.v1.Changes/List", LOOK),
    ("/sprint.v1.Changes/Retry", STEER),
    // It runs commands of the repo on outposts.
    ("/sprint.v1.Changes/RunGates", STEER),
    ("/sprint.v1.Changes/Why", LOOK),
    ("/sprint.v1.Events/Tail", LOOK),
    ("/sprint.v1.Identity/CreateToken", RULE),
    // Its token is its credential.
    ("/sprint.v1.Identity/Enrol", Allowed::Anyone),
    ("/sprint.v1.Identity/ListTokens", RULE),
    ("/sprint.v1.Identity/RevokeToken", RULE),
    ("/sprint.v1.Identity/WhoAmI", Allowed::Roles(&[Admin, Operator, Viewer, Outpost])),
    ("/sprint.v1.Items/Add", STEER),
    ("/sprint.v1.Items/Cancel", STEER),
    ("/sprint.v1.Items/Edit", STEER),
    ("/sprint.v1.Items/Explain", LOOK),
    ("/sprint.v1.Items/Get", LOOK),
    ("/sprint.v1.Items/Kept", LOOK),
    ("/sprint.v1.Items/List", LOOK),
    ("/sprint.v1.Items/Ready", STEER),
    ("/sprint.v1.Items/Retry", STEER),
    ("/sprint.v1.Items/Wait", LOOK),
    ("/sprint.v1.Link/Logs", LINK),
    ("/sprint.v1.Link/Session", LINK),
    ("/sprint.v1.Link/Terminal", LINK),
    ("/sprint.v1.Outposts/Drain", STEER),
    ("/sprint.v1.Outposts/List", LOOK),
    ("/sprint.v1.Outposts/Remove", RULE),
    ("/sprint.v1.Outposts/Resume", STEER),
    ("/sprint.v1.Outposts/Set", STEER),
    // A repo's address is read with the coordinator's own rights.
    ("/sprint.v1.Repos/Add", RULE),
    ("/sprint.v1.Repos/Get", LOOK),
    ("/sprint.v1.Repos/List", LOOK),
    ("/sprint.v1.Repos/Remove", RULE),
    ("/sprint.v1.Repos/Set", STEER),
    // It holds every key.
    ("/sprint.v1.System/Backup", RULE),
    ("/sprint.v1.System/Check", RULE),
    ("/sprint.v1.System/Status", LOOK),
    // It types into an agent's terminal.
    ("/sprint.v1.Workers/Attach", STEER),
    ("/sprint.v1.Workers/Get", LOOK),
    ("/sprint.v1.Workers/List", LOOK),
    ("/sprint.v1.Workers/Logs", LOOK),
    ("/sprint.v1.Workers/Stop", STEER),
];

/// The entry for a method.
fn allowed(method: &str) -> Option<Allowed> {
    TABLE.iter().find(|(known, _)| *known == method).map(|(_, allowed)| *allowed)
}

/// Lets a call through to its service, with its caller on it, or refuses and records it.
pub(super) async fn check(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return refusal(&plain(SprintCode::Internal, "the connection is not known"));
    };
    let caller = match peer.identify(&face.sprint, bearer(request.headers())) {
        Ok(caller) => caller,
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
    let role = caller.identity.role();
    match (allowed(path), role) {
        (Some(Allowed::Anyone), _) => Ok(()),
        (Some(Allowed::Roles(roles)), Some(role)) if roles.contains(&role) => Ok(()),
        (Some(Allowed::Roles(_)), None) => {
            Err(refuse(&Refusal::new(SprintCode::CallerUnauthenticated, NO_CALLER).next(Act::LogIn)))
        }
        (Some(Allowed::Roles(roles)), Some(role)) => {
            let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ");
            let why = format!(
                "{caller} may not do this: it takes the role {roles}, and the caller's is {role}; ask an admin for a token of that role"
            );
            Err(plain(SprintCode::CallerForbidden, why))
        }
        (None, None) => Err(plain(SprintCode::CallerUnauthenticated, NO_CALLER)),
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
        let listed = TABLE.iter().map(|(method, _)| (*method).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(listed.len(), TABLE.len(), "a method is listed twice");
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
        for (method, _) in TABLE.iter().chain([&("/sprint.v1.Items/Unheard", Allowed::Anyone)]) {
            let who = identities.iter().filter(|(_, identity)| may(&caller(identity.clone()), method).is_ok());
            let who = who.map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
            writeln!(table, "{method:60} {who}").expect("a string takes everything");
        }
        insta::assert_snapshot!(table);
    }
}
