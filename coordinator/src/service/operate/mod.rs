//! The coordinator's own upkeep: the record read, checked, backed up.

pub mod backup;
pub mod check;
pub mod loops;
pub mod metrics;
pub mod status;
