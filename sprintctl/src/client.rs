//! The connection to the coordinator.

use std::time::Duration;

use sprint_proto::MAX_MESSAGE_BYTES;
use sprint_proto::v1::changes_client::ChangesClient;
use sprint_proto::v1::events_client::EventsClient;
use sprint_proto::v1::items_client::ItemsClient;
use sprint_proto::v1::outposts_client::OutpostsClient;
use sprint_proto::v1::repos_client::ReposClient;
use sprint_proto::v1::system_client::SystemClient;
use sprint_proto::v1::workers_client::WorkersClient;
use tonic::transport::{Channel, Endpoint};

use crate::failure::{Failure, deepest};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead peer behind a silent network is noticed within a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One connection, shared by the clients of all services.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    channel: Channel,
}

macro_rules! services {
    ($($name:ident -> $client:ident),+ $(,)?) => {
        $(pub(crate) fn $name(&self) -> $client<Channel> {
            $client::new(self.channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        })+
    };
}

impl Client {
    /// Connects to the coordinator at `address`, a `HOST:PORT`.
    pub(crate) async fn connect(address: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Failure::Usage(format!("\"{address}\" is not an address ({error}); use HOST:PORT")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Failure::Unreachable { address: address.to_owned(), why: deepest(&error) })?;
        Ok(Self { channel })
    }

    services! {
        repos -> ReposClient,
        items -> ItemsClient,
        outposts -> OutpostsClient,
        workers -> WorkersClient,
        changes -> ChangesClient,
        events -> EventsClient,
        system -> SystemClient,
    }
}

/// The pauses of something that goes on until the coordinator is back.
#[derive(Debug)]
pub(crate) struct Patience {
    pause: Duration,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self { pause: FIRST_PAUSE }
    }

    /// Waits before the next try, and says once per outage that it does.
    pub(crate) async fn pause(&mut self, failure: &Failure) {
        if self.pause == FIRST_PAUSE {
            crate::output::note(&format!("{failure}; trying again until it is back"));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Notes that the coordinator answered.
    pub(crate) const fn answered(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_named_with_what_to_do() {
        // Bound and dropped: free, and nobody listens.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let failure = Client::connect(&format!("127.0.0.1:{port}")).await.unwrap_err();
        assert_eq!(
            failure.to_string(),
            format!(
                "no coordinator answers at 127.0.0.1:{port} (connection refused); start one with: coordinator serve, or name another with --coordinator HOST:PORT"
            )
        );
    }
}
