//! Admission of callers, and the record of refusals.

pub mod access;
pub mod audit;
pub mod enrol;
pub mod local_admin;
pub mod refusals;
pub mod throttle;
pub mod tokens;
