//! Items: added, scheduled, waited for.

pub mod earlier_work;
pub mod items;
pub mod pipeline;
pub mod schedule;
pub mod wait;
