//! What every use case works on.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sprint_core::ids::RepoName;
use sprint_core::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::FleetConfig;
use crate::git::GitRepos;
use crate::identity::Certificates;
use crate::service::admission::refusals::Refusals;
use crate::service::admission::throttle::EnrolmentThrottle;
use crate::service::fleet::activity::Activities;
use crate::service::fleet::connections::Connections;
use crate::service::fleet::logs::Logs;
use crate::service::operate::loops::Loops;
use crate::service::queue::merge::Queues;
use crate::service::repos::lfs_memory::LfsMissing;
use crate::service::repos::setup_failures::SetupFailures;
use crate::service::repos::submodule_memory::Submodules;
use crate::store::{Notices, Store};

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
    pub activities: Activities,
    pub settings: FleetConfig,
    pub certificates: Arc<Certificates>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    pub refusals: Refusals,
    pub enrolment_attempts: EnrolmentThrottle,
    pub started_at: Timestamp,
    pub loops: Loops,
    /// Cancelled when the coordinator stops: whatever follows or waits ends itself, or the stop would wait for it.
    pub stop: CancellationToken,
    /// Owns every task.
    pub tasks: TaskTracker,
    pub(crate) queues: Queues,
    pub(crate) submodules: Submodules,
    pub(crate) lfs_missing: LfsMissing,
    pub(crate) setup_failures: SetupFailures,
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
        settings: FleetConfig,
    ) -> Self {
        let (fleet, started_at) = (Connections::new(store.time().elapsed()), store.time().now());
        Self {
            store,
            git,
            logs,
            fleet,
            activities: Activities::default(),
            settings,
            certificates,
            data_dir,
            refusals: Refusals::default(),
            enrolment_attempts: EnrolmentThrottle::default(),
            started_at,
            loops: Loops::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            queues: Queues::default(),
            submodules: Submodules::default(),
            lfs_missing: LfsMissing::default(),
            setup_failures: SetupFailures::default(),
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

    /// Who is woken by commits.
    pub fn notices(&self) -> &Notices {
        self.store.notices()
    }
}
