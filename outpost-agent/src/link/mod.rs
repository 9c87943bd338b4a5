//! The way to the coordinator: control, logs and terminals, each on its own connection.

mod backoff;
mod identity;
mod load;
mod logs;
mod session;
mod terminal;

use std::time::Duration;

use sprint_identity::connect::Connection;
use sprint_proto::MAX_MESSAGE_BYTES;
use sprint_proto::v1::link_client::LinkClient;
use tonic::transport::Endpoint;

use crate::agent::Agent;

pub(crate) use identity::{Identity, IdentityError};
pub(crate) use logs::run as ship_logs;
pub(crate) use session::run as hold_session;

/// A host that is gone is noticed within the sum of these.
const KEEPALIVE: Duration = Duration::from_secs(3);
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Opens a connection of its own, so that one stream's bulk never delays another.
async fn connect(agent: &Agent) -> Result<LinkClient<Connection>, IdentityError> {
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
fn causes(error: &dyn std::error::Error) -> String {
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
