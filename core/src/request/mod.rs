//! The requests of callers, decoded: each face makes these from its wire format, and a use case carries them out.

mod admission;
mod backlog;
mod fleet;
mod queue;
mod read;
mod repos;

pub use admission::{Enrolment, NewSecret, NewToken};
pub use backlog::{ItemEdit, ItemWait, NewItem, WaitReport, WaitResult};
pub use fleet::{Hello, InventoryEntry, OutpostPatch};
pub use queue::{GateRunRequest, LandRequest};
pub use read::{ChangeFilter, EventTail, ItemFilter, LogRange, WorkerFilter};
pub use repos::{NewRepo, RepoPatch, WorkerSettings};
