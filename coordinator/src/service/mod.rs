//! Use cases: load, decide (core), commit. No transport, no SQL.

pub mod access;
pub mod admin;
pub mod assignment;
pub mod attempts;
pub mod audit;
pub mod backup;
pub mod changes;
pub mod check;
pub mod code;
pub mod enrol;
pub mod error;
pub mod events;
pub mod fleet;
pub mod gates;
pub mod items;
pub mod landing;
pub mod leases;
pub mod logs;
pub mod merge;
pub mod outposts;
pub mod pipeline;
pub mod presence;
pub mod reports;
pub mod repos;
mod resume;
mod revision;
pub mod schedule;
pub mod session;
pub mod tokens;
mod transition;
mod upstream;
pub mod wait;
pub mod workers;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sprint_core::ids::RepoName;
use sprint_core::time::Timestamp;

pub use error::ServiceError;
pub use sprint_core::event::Actor;

use crate::git::GitRepos;
use crate::identity::Certificates;
use crate::store::Store;

pub use crate::store::{ChangeFilter, EventFilter, ItemFilter, Notices, WorkerFilter};

/// An outpost that was off for longer needs a new token.
pub const OUTPOST_CERTIFICATE_TTL: Duration = Duration::from_hours(7 * 24);

/// A repository's whole history may be pushed; a disk may not be filled.
pub const MAX_PUSH_BYTES: u64 = 2 << 30;

/// What a coordinator is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often an outpost says that it is there.
    pub heartbeat: Duration,
    /// How long a cut-off outpost keeps its leases.
    pub disconnect_grace: Duration,
    /// How often outposts bring uncommitted work; zero: only at a worker's end.
    pub snapshot_every: Duration,
    /// How long an outpost's certificate counts.
    pub outpost_certificate_ttl: Duration,
    /// The largest push that is taken.
    pub max_push_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            disconnect_grace: Duration::from_mins(10),
            snapshot_every: Duration::from_mins(1),
            outpost_certificate_ttl: OUTPOST_CERTIFICATE_TTL,
            max_push_bytes: MAX_PUSH_BYTES,
        }
    }
}

/// Where the local user's own access is kept, and what it leads to.
#[derive(Debug, Clone)]
pub struct LocalAdmin {
    pub data_dir: PathBuf,
    /// The coordinator's address on this host.
    pub address: String,
}

/// Everything that a use case works on.
pub struct Sprint {
    pub store: Store,
    pub git: GitRepos,
    pub logs: Arc<logs::Logs>,
    pub fleet: fleet::Fleet,
    pub settings: Settings,
    pub certificates: Arc<Certificates>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    pub refusals: audit::Refusals,
    pub enrolment_attempts: attempts::Attempts,
    pub started_at: Timestamp,
    queues: merge::Queues,
    /// Why each repo's merge queue failed when it last tried.
    troubles: Mutex<HashMap<RepoName, String>>,
}

impl Sprint {
    pub fn new(
        store: Store,
        git: GitRepos,
        logs: Arc<logs::Logs>,
        certificates: Arc<Certificates>,
        data_dir: PathBuf,
        settings: Settings,
    ) -> Self {
        let (fleet, started_at) = (fleet::Fleet::new(store.time().elapsed()), store.time().now());
        Self {
            store,
            git,
            logs,
            fleet,
            settings,
            certificates,
            data_dir,
            refusals: audit::Refusals::default(),
            enrolment_attempts: attempts::Attempts::default(),
            started_at,
            queues: merge::Queues::default(),
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

    /// The time that the record is kept in: it never jumps back.
    pub fn now(&self) -> Timestamp {
        self.store.time().now()
    }

    /// The bells that commits ring.
    pub fn notices(&self) -> &Notices {
        self.store.notices()
    }
}

/// What this host's clock shows, for certificates and tokens: others judge them by their own.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}
