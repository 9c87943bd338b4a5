//! The most that a worker may take of its host.

use serde::{Deserialize, Serialize};

/// The most that one worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) processes: u64,
    /// Bytes; none means as much as the host has.
    pub(crate) memory: Option<u64>,
    pub(crate) open_files: u64,
}
