//! The life of a worker on this outpost, from its assignment to its removal.

mod brief;
mod decide;
mod finish;
mod fleet;
mod handle;
pub(crate) mod hung;
mod journal;
mod life;
mod missing;
mod outbox;
mod outcome;
mod own_sandbox;
mod peer;
mod ports;
mod progress;
pub(crate) mod rehearsal;
mod reminder;
mod reporter;
mod risk;
pub(crate) mod roster;
mod saving;
mod shim_process;
mod snapshot_pace;
mod snapshots;
mod socket;
mod tail;
mod warm_dirs;
mod warm_sessions;
pub(crate) mod warm_upkeep;

pub(crate) use decide::Stop;
pub(crate) use fleet::Fleet;
pub(crate) use outbox::Outbox;
pub(crate) use ports::Ports;
pub(crate) use snapshot_pace::SnapshotPace;
pub(crate) use warm_dirs::WarmDirs;
pub(crate) use warm_sessions::WarmSessions;
