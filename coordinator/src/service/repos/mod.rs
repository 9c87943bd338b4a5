//! Repos: managed, configured, halted; their upstreams; who may fetch and push.

pub mod config;
pub mod git_access;
pub mod halt;
mod manage;
pub mod revision;
pub mod upstream;

pub use manage::{Described, add, get, http_backend, list, remove, set};
