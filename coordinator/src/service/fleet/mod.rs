//! Outposts and their workers.

pub mod assignment;
pub mod connections;
pub mod leases;
pub mod log_intake;
pub mod logs;
pub mod outposts;
pub mod presence;
pub mod reports;
pub mod session;
pub mod workers;
