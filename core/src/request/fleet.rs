use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{OutpostName, WorkerId};
use crate::job::Job;

/// An outpost's description of itself when it connects.
#[derive(Debug, Clone)]
pub struct Hello {
    pub outpost: OutpostName,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub max_workers: u32,
    pub instance: String,
    pub draining: bool,
    pub inventory: Vec<InventoryEntry>,
}

/// A worker that an outpost has something of on its disk.
#[derive(Debug, Clone)]
pub struct InventoryEntry {
    pub worker: WorkerId,
    pub job: Job,
    pub finished: bool,
}

/// A change of an outpost's settings; an absent field stays as it is.
#[derive(Debug, Clone)]
pub struct OutpostPatch {
    pub name: OutpostName,
    /// `Some(None)`: the coordinator's own setting.
    pub disconnect_grace: Option<Option<Duration>>,
}
