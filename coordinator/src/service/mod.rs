//! Use cases: load, decide (core), commit. No transport, no SQL.

pub mod assignment;
pub mod changes;
pub mod error;
pub mod events;
pub mod fleet;
pub mod items;
pub mod logs;
pub mod merge;
pub mod outposts;
pub mod pipeline;
pub mod reports;
pub mod repos;
pub mod schedule;
mod transition;
pub mod wait;
pub mod workers;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sprint_core::ids::{OutpostName, RepoName};
use sprint_core::time::Timestamp;

pub use error::ServiceError;

use crate::git::GitRepos;
use crate::store::Store;

pub use crate::store::{ChangeFilter, ItemFilter, Notices, WorkerFilter};

/// What a coordinator is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often an outpost says that it is there.
    pub heartbeat: Duration,
    /// How long a cut-off outpost keeps its leases.
    pub disconnect_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(5), disconnect_grace: Duration::from_mins(10) }
    }
}

/// Everything that a use case works on.
pub struct Sprint {
    pub store: Store,
    pub git: GitRepos,
    pub logs: Arc<logs::Logs>,
    pub fleet: fleet::Fleet,
    pub settings: Settings,
    pub started_at: Timestamp,
    /// Why each repo's merge queue failed when it last tried.
    troubles: Mutex<HashMap<RepoName, String>>,
}

impl Sprint {
    pub fn new(store: Store, git: GitRepos, logs: Arc<logs::Logs>, settings: Settings) -> Self {
        Self {
            store,
            git,
            logs,
            fleet: fleet::Fleet::default(),
            settings,
            started_at: now(),
            troubles: Mutex::default(),
        }
    }

    fn set_trouble(&self, repo: &RepoName, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => troubles.insert(repo.clone(), trouble),
            None => troubles.remove(repo),
        };
    }

    fn trouble(&self, repo: &RepoName) -> Option<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).get(repo).cloned()
    }

    /// The bells that commits ring.
    pub fn notices(&self) -> &Notices {
        self.store.notices()
    }
}

/// The coordinator's clock, the only one that counts.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Who causes an event.
#[derive(Debug, Clone)]
pub enum Actor {
    Overseer,
    Scheduler,
    Pipeline,
    MergeQueue,
    Supervisor,
    Outpost(OutpostName),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overseer => f.write_str("overseer"),
            Self::Scheduler => f.write_str("scheduler"),
            Self::Pipeline => f.write_str("pipeline"),
            Self::MergeQueue => f.write_str("merge-queue"),
            Self::Supervisor => f.write_str("supervisor"),
            Self::Outpost(name) => write!(f, "outpost/{name}"),
        }
    }
}
