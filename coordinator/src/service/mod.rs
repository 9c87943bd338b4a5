//! Use cases: load, decide (core), commit. No transport, no SQL.
//!
//! Each room holds the use cases of one concern; what several rooms need stands beside them.

pub mod admission;
pub mod backlog;
mod capacity;
mod context;
mod error;
mod explain;
pub mod fleet;
pub mod operate;
pub mod queue;
pub mod repos;
mod transition;
pub mod watch;

pub use context::{Coordinator, LocalAdmin};
pub use error::{Kind, ServiceError};
pub use explain::{change as explain_change, item as explain_item};
pub use sprint_core::event::Actor;

pub use crate::clock::now;
pub use crate::store::{EventFilter, Notices};
