//! The coordinator: owns the work queue, the merge queue and the record of everything that happened.
//!
//! `store` holds the only SQL, `git` the bare repositories, `identity` the
//! certificates, `service` the use cases; `face`
//! and `loops` call services and nothing below them.

pub mod app;
pub mod clock;
pub mod command;
pub mod config;
pub mod face;
pub mod git;
pub mod identity;
pub mod loops;
pub mod metrics;
pub mod service;
pub mod store;
