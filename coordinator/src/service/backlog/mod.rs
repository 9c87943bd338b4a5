//! Items: added, scheduled.

pub mod earlier_work;
pub mod items;
pub mod pipeline;
pub mod schedule;
