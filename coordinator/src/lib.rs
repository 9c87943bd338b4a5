//! The coordinator: owns the work queue, the merge queue and the record of everything that happened.

pub mod git;
pub mod store;
