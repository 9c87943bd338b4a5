//! The merge queue: gates trials and lands changes, for each repo by itself.
//!
//! Each step reads the record and git, and lets core decide; then it carries out the next step and records it. A landing is
//! intent, compare-and-swap, record, upstream push, and can be resumed after each.

pub mod build;
mod direct;
mod drive;
mod history;
mod intent;
mod keep;
mod land;
mod look;
mod memory;
pub mod paths;
mod progress;
mod protected;
mod reject;
pub mod standing;

pub use direct::{Preview, preview};
pub use drive::{busy, drive};
pub use keep::keep;
pub use memory::Queues;
