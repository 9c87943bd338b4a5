//! The life of a worker on this outpost, from its assignment to its removal.

mod brief;
mod finish;
pub(crate) mod fleet;
pub(crate) mod hung;
mod journal;
pub(crate) mod life;
pub(crate) mod outbox;
mod outcome;
mod peer;
mod reporter;
mod saving;
mod shim_process;
pub(crate) mod snapshots;
mod socket;
mod tail;
mod task;
mod told;
