//! The agents of this host: which there are, and how one is started for a worker.

pub(crate) mod fill;
pub(crate) mod found;
