//! Who may come in, and what was refused.

pub mod access;
pub mod audit;
pub mod enrol;
pub mod local_admin;
pub mod refusals;
pub mod throttle;
pub mod tokens;
