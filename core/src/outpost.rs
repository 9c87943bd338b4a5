//! An outpost: a host that offers slots for workers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::gates::duration_text;
use crate::ids::{KeyId, OutpostName};
use crate::time::Timestamp;

crate::words! {
    /// Whether an outpost takes work.
    pub enum OutpostState as "outpost state" {
        Online => "online",
        /// Connected, and given nothing new.
        Draining => "draining",
        Offline => "offline",
    }
}

/// An outpost as the coordinator keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outpost {
    pub name: OutpostName,
    /// The key that it proves its name with; none for one that joined before keys were asked for.
    #[serde(default)]
    pub key: Option<KeyId>,
    pub labels: BTreeMap<String, String>,
    pub max_workers: u32,
    pub state: OutpostState,
    pub version: String,
    /// Set by `outpost drain`, cleared by `outpost resume`; outlives connections.
    pub draining: bool,
    /// Why it takes nothing new for the time being, by its own word: too little disk, say.
    #[serde(default)]
    pub paused: Option<String>,
    /// How long it keeps its leases while it is cut off; the coordinator's own setting when none.
    #[serde(with = "duration_text::optional", default)]
    pub disconnect_grace: Option<Duration>,
    pub joined_at: Timestamp,
    pub last_seen: Timestamp,
}

crate::noun!(Outpost, "outpost", "name");

impl EventKind {
    pub const OUTPOST_JOINED: Self = Self::new("outpost_joined");
    pub const OUTPOST_CONNECTED: Self = Self::new("outpost_connected");
    pub const OUTPOST_DISCONNECTED: Self = Self::new("outpost_disconnected");
    pub const OUTPOST_DRAINING: Self = Self::new("outpost_draining");
    pub const OUTPOST_CHANGED: Self = Self::new("outpost_changed");
    pub const OUTPOST_PAUSED: Self = Self::new("outpost_paused");
    pub const OUTPOST_UNPAUSED: Self = Self::new("outpost_unpaused");
    pub const OUTPOST_FOUND_SESSION: Self = Self::new("outpost_found_session");
    pub const OUTPOST_RESUMED: Self = Self::new("outpost_resumed");
    pub const OUTPOST_REMOVED: Self = Self::new("outpost_removed");
}

/// The last load report of an outpost's host; never stored.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Load {
    /// One-minute load average.
    pub load1: f64,
    pub free_disk_bytes: u64,
    pub free_memory_bytes: u64,
}

impl Outpost {
    /// The state that follows from being connected or not.
    pub fn settle(&mut self, connected: bool) {
        self.state = match (connected, self.draining) {
            (false, _) => OutpostState::Offline,
            (true, true) => OutpostState::Draining,
            (true, false) => OutpostState::Online,
        };
    }
}
