use std::collections::BTreeMap;
use std::time::Duration;

use crate::bounds::{INVENTORY, OUTPOST_LABELS, OUTPOST_WORD};
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

impl Hello {
    /// # Errors
    /// A sentence: what it says is beyond a bound.
    pub fn within_bounds(self) -> Result<Self, String> {
        let words = [("its version", &self.version), ("its instance", &self.instance)].into_iter();
        let labels = self.labels.iter().flat_map(|(key, value)| [("a label's name", key), ("a label", value)]);
        if let Some((what, word)) = words.chain(labels).find(|(_, word)| word.len() > OUTPOST_WORD) {
            return Err(format!("{what} has {} bytes, and the limit is {OUTPOST_WORD}; make it shorter", word.len()));
        }
        let (labels, workers) = (self.labels.len(), self.inventory.len());
        if labels > OUTPOST_LABELS {
            return Err(format!("the outpost has {labels} labels, and the limit is {OUTPOST_LABELS}; remove some"));
        }
        if workers > INVENTORY {
            let what = format!("the outpost has {workers} workers on its disk, and the limit is {INVENTORY}");
            return Err(format!("{what}; give it a new data directory, and keep the old one for its unsaved work"));
        }
        Ok(self)
    }
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
