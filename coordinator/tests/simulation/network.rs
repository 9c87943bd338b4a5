//! Connections between outposts and the coordinator: in order, unless something goes wrong.

use coordinator::service::fleet::connections::SessionHold;
use coordinator::service::fleet::session::{Downlink, Session};
use sprint_core::assignment::Report;
use sprint_core::request::Hello;

/// After how long a side notices that it hears nothing: the sum of both limits of the keepalive.
pub(crate) const KEEPALIVE: u64 = 8_000;

/// What an outpost says.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    Hello(Box<Hello>),
    Heartbeat,
    Report(Box<Report>),
}

/// What an outpost hears.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    Welcome,
    Downlink(Downlink),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Outpost,
    Coordinator,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) outpost: usize,
    /// Whether the outpost believes in it.
    pub(crate) open: bool,
    pub(crate) welcomed: bool,
    /// The coordinator's end, once a hello was taken.
    pub(crate) session: Option<(Session, SessionHold)>,
    /// Whether the coordinator believes in it.
    pub(crate) accepted: bool,
    /// When the last message of each direction arrives: none overtakes it.
    pub(crate) last_up: u64,
    pub(crate) last_down: u64,
}

impl Connection {
    pub(crate) fn new(outpost: usize) -> Self {
        Self { outpost, open: true, welcomed: false, session: None, accepted: true, last_up: 0, last_down: 0 }
    }
}

/// What an outpost's way to the coordinator is like: blocked until these times.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Path {
    pub(crate) up_blocked: u64,
    pub(crate) down_blocked: u64,
}
