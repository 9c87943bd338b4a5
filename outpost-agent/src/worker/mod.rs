//! The life of a worker on this outpost, from its assignment to its removal.

mod brief;
mod finish;
pub(crate) mod fleet;
mod journal;
mod life;
pub(crate) mod outbox;
mod outcome;
mod peer;
mod reporter;
mod shim_process;
mod socket;
mod tail;
mod task;
mod told;
