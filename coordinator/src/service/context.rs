//! What every use case works on.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprint_core::ids::RepoName;
use sprint_core::time::Timestamp;

use crate::git::GitRepos;
use crate::identity::Certificates;
use crate::service::admission::refusals::Refusals;
use crate::service::admission::throttle::EnrolmentThrottle;
use crate::service::fleet::connections::Connections;
use crate::service::fleet::logs::Logs;
use crate::service::queue::merge::Queues;
use crate::store::{Notices, Store};

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
pub struct Coordinator {
    pub store: Store,
    pub git: GitRepos,
    pub logs: Arc<Logs>,
    pub fleet: Connections,
    pub settings: Settings,
    pub certificates: Arc<Certificates>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    pub refusals: Refusals,
    pub enrolment_attempts: EnrolmentThrottle,
    pub started_at: Timestamp,
    pub(crate) queues: Queues,
    /// Why each repo's merge queue failed when it last tried.
    troubles: Mutex<HashMap<RepoName, String>>,
}

impl Coordinator {
    pub fn new(
        store: Store,
        git: GitRepos,
        logs: Arc<Logs>,
        certificates: Arc<Certificates>,
        data_dir: PathBuf,
        settings: Settings,
    ) -> Self {
        let (fleet, started_at) = (Connections::new(store.time().elapsed()), store.time().now());
        Self {
            store,
            git,
            logs,
            fleet,
            settings,
            certificates,
            data_dir,
            refusals: Refusals::default(),
            enrolment_attempts: EnrolmentThrottle::default(),
            started_at,
            queues: Queues::default(),
            troubles: Mutex::default(),
        }
    }

    pub(crate) fn set_trouble(&self, repo: &RepoName, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => troubles.insert(repo.clone(), trouble),
            None => troubles.remove(repo),
        };
    }

    pub(crate) fn trouble(&self, repo: &RepoName) -> Option<String> {
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
