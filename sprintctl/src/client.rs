//! The connection to the coordinator.

use std::time::Duration;

use sprint_identity::connect::{Connection, connect};
use sprint_proto::{MAX_MESSAGE_BYTES, each_service, v1};

use crate::failure::Failure;
use crate::target::Target;

/// A dead peer behind a silent network is noticed within a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One connection, shared by the clients of all services.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    connection: Connection,
}

impl Client {
    /// Connects, and makes sure that it is the coordinator that is trusted.
    pub(crate) async fn connect(target: &Target) -> Result<Self, Failure> {
        let Target { address, trust, credential, context: _ } = target;
        let connection = connect(address, trust, credential, |endpoint| {
            endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE)
        });
        Ok(Self { connection: connection.await? })
    }
}

macro_rules! clients {
    ($($name:ident $module:ident $client:ident $server_module:ident $server:ident;)+) => {
        #[expect(dead_code, reason = "not every service is for people")]
        impl Client {
            $(pub(crate) fn $name(&self) -> v1::$module::$client<Connection> {
                v1::$module::$client::new(self.connection.clone())
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES)
            })+
        }
    };
}

each_service!(clients);

macro_rules! lists {
    ($($name:ident $rows:ident $request:ident $row:ident;)+) => {
        impl Client {
            $(
                /// All that a request asks for, in as many answers as it takes.
                pub(crate) async fn $name(&self, mut request: v1::$request) -> Result<Vec<v1::$row>, Failure> {
                    let (mut client, limit) = (self.$rows(), request.limit);
                    let mut found = Vec::new();
                    loop {
                        let list = client.list(request.clone()).await?.into_inner();
                        let Some(oldest) = list.$rows.first().map(|row| row.id) else { return Ok(found) };
                        found.splice(..0, list.$rows);
                        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
                        if !list.more || (limit > 0 && left == 0) {
                            return Ok(found);
                        }
                        request.before = oldest;
                        request.limit = left;
                    }
                }
            )+
        }
    };
}

lists! {
    all_items items ListItemsRequest Item;
    all_workers workers ListWorkersRequest Worker;
    all_changes changes ListChangesRequest Change;
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
            crate::output::note(&format!("{failure}; trying again until it answers"));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Notes that the coordinator answered.
    pub(crate) const fn answered(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}
