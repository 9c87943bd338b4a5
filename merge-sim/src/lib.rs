//! A simulator that judges the merge queue's planner on a virtual clock, beside other ways to run a merge queue.

pub mod bench;
pub mod bors;
pub mod chain;
pub mod oracle;
pub mod ours;
pub mod report;
pub mod serial;
pub mod sweep;
pub mod world;
