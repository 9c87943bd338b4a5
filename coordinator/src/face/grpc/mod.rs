//! gRPC: `sprint.v1`, with standard health and reflection.

mod changes;
mod events;
mod items;
mod link;
mod outposts;
mod repos;
mod status;
mod workers;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sprint_proto::{DESCRIPTORS, MAX_MESSAGE_BYTES, v1};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use crate::service::Sprint;

/// A silent peer is asked after this, and given up after as much again and a little:
/// a frozen one is noticed within 8 s.
const KEEPALIVE: Duration = Duration::from_secs(3);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What every gRPC service holds.
#[derive(Clone)]
struct Face {
    sprint: Arc<Sprint>,
    /// Streams end themselves when this is cancelled; a graceful shutdown would wait for them for ever.
    stop: CancellationToken,
    /// Where outposts fetch and push, without the path.
    git_base_url: Arc<str>,
    /// Owns the tasks behind streams.
    tasks: TaskTracker,
}

/// Serves until `stop` is cancelled and every call has ended.
///
/// # Errors
/// What the transport says.
pub fn serve(
    sprint: Arc<Sprint>,
    listener: TcpListener,
    git_base_url: &str,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + Send + use<>, anyhow::Error> {
    let face = Face { sprint, stop: stop.clone(), git_base_url: Arc::from(git_base_url), tasks };
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    macro_rules! service {
        ($server:path) => {{
            <$server>::new(face.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        }};
    }
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .tcp_nodelay(true)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(service!(v1::items_server::ItemsServer<_>))
        .add_service(service!(v1::workers_server::WorkersServer<_>))
        .add_service(service!(v1::changes_server::ChangesServer<_>))
        .add_service(service!(v1::repos_server::ReposServer<_>))
        .add_service(service!(v1::outposts_server::OutpostsServer<_>))
        .add_service(service!(v1::events_server::EventsServer<_>))
        .add_service(service!(v1::system_server::SystemServer<_>))
        .add_service(service!(v1::link_server::LinkServer<_>));
    Ok(async move {
        health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        health.set_serving::<v1::items_server::ItemsServer<Face>>().await;
        let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await
    })
}
