//! A connection to the coordinator, for one stream.

use std::time::Duration;

use sprint_identity::connect::Connection;
use sprint_proto::MAX_MESSAGE_BYTES;
use sprint_proto::v1::link_client::LinkClient;
use tonic::transport::Endpoint;

use super::identity::IdentityError;
use crate::context::Agent;

/// A host that is gone is noticed within the sum of these.
const KEEPALIVE: Duration = Duration::from_secs(3);
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Opens a connection of its own, so that one stream's bulk never delays another.
pub(super) async fn connect(agent: &Agent) -> Result<LinkClient<Connection>, IdentityError> {
    let tune = |endpoint: Endpoint| {
        endpoint
            .connect_timeout(CONNECT_LIMIT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_LIMIT)
            .keep_alive_while_idle(true)
    };
    let connection = agent.identity.connect(&agent.settings.coordinator, tune).await?;
    Ok(LinkClient::new(connection)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// An error with its causes: the first alone often says only "transport error".
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
