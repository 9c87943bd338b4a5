//! The services of the protocol as one router, and the caller of a call.

use axum::Router;
use axum::middleware::from_fn_with_state;
use sprint_core::access::Caller;
use sprint_core::event::Actor;
use sprint_proto::{DESCRIPTORS, MAX_MESSAGE_BYTES, each_service, v1};
use tonic::service::Routes;
use tonic::{Request, Status};

use super::{access, status};
use crate::face::{Face, caller as callers};

/// The most bytes that a stranger may send: a token, a name and a certificate signing request.
const MAX_IDENTITY_BYTES: usize = 64 << 10;

/// The services, behind the check of who may call them.
///
/// # Errors
/// Descriptors that make no sense.
pub fn router(face: &Face) -> anyhow::Result<Router> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    macro_rules! add_services {
        ($($name:ident $client_module:ident $client:ident $module:ident $server:ident;)+) => {
            Routes::new(health_service).add_service(reflection)$(.add_service(
                v1::$module::$server::new(face.clone())
                    .max_decoding_message_size(max_bytes(v1::$module::SERVICE_NAME))
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            ))+
        };
    }
    let routes = each_service!(add_services);
    face.sprint.tasks.spawn(async move {
        health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        health.set_serving::<v1::items_server::ItemsServer<Face>>().await;
    });
    Ok(routes.prepare().into_axum_router().layer(from_fn_with_state(face.clone(), access::check)))
}

/// The most bytes of a message that a service takes.
fn max_bytes(service: &str) -> usize {
    if service == v1::identity_server::SERVICE_NAME { MAX_IDENTITY_BYTES } else { MAX_MESSAGE_BYTES }
}

/// The caller; the access check has set it.
pub(super) fn caller_of<T>(request: &Request<T>) -> Result<&Caller, Status> {
    callers::of(request.extensions()).ok_or_else(|| {
        status::plain(sprint_core::refusal::Code::Internal, "the access check did not run for this call")
    })
}

/// The caller, as the actor of events.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Actor, Status> {
    caller_of(request).map(callers::actor)
}
