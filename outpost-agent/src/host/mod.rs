//! The host that this outpost runs on: its disk, its files, its programs, its sessions.

pub(crate) mod disk;
pub(crate) mod environment;
pub(crate) mod file_watch;
pub(crate) mod headroom;
pub(crate) mod headroom_watch;
pub(crate) mod load;
pub(crate) mod orphan_sessions;
pub(crate) mod paths;
pub(crate) mod preflight;
pub(crate) mod programs;
mod removal;
pub(crate) mod session_watch;
pub(crate) mod socket;
pub(crate) mod unblock;
