//! The state that all parts of the agent share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sprint_core::ids::OutpostName;
use sprint_core::runtime::Catalog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::host::file_watch::{FileWatch, News};
use crate::host::headroom::{DiskPolicy, Pause};
use crate::host::orphan_sessions::OrphanSessions;
use crate::host::paths::DataDir;
use crate::link::Identity;
use crate::sandbox::policy::Policy;
use crate::tmux::Tmux;
use crate::worker::{Fleet, Outbox, Ports, SnapshotPace, WarmDirs, WarmSessions};
use crate::workspace::Repositories;

/// The settings that the agent was started with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) coordinator: String,
    pub(crate) name: OutpostName,
    pub(crate) labels: BTreeMap<String, String>,
    /// The agents that it knows how to start.
    pub(crate) runtimes: Catalog,
    pub(crate) max_workers: u32,
    pub(crate) log_limit: u64,
    /// How many bytes are saved of what an attempt leaves besides.
    pub(crate) max_left: u64,
    pub(crate) drain: bool,
    pub(crate) disk_policy: DiskPolicy,
    /// New for each start.
    pub(crate) instance: String,
    /// This program, for the shim.
    pub(crate) program: PathBuf,
    /// Tells a person's tools whether they are on this host.
    pub(crate) boot_id: String,
}

/// The agent's parts.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) settings: Settings,
    /// The confinement of workers; none when it is switched off.
    pub(crate) policy: Option<Policy>,
    pub(crate) data: DataDir,
    pub(crate) identity: Identity,
    pub(crate) tmux: Tmux,
    pub(crate) warm_sessions: WarmSessions,
    pub(crate) warm_dirs: WarmDirs,
    pub(crate) repositories: Repositories,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) fleet: Fleet,
    pub(crate) ports: Ports,
    pub(crate) snapshot_pace: SnapshotPace,
    pub(crate) orphan_sessions: OrphanSessions,
    /// Why nothing new is taken for the time being.
    pub(crate) pause: watch::Sender<Option<Pause>>,
    pub(crate) file_watch: FileWatch,
    pub(crate) log_growth: Arc<News>,
    /// Workers whose agents have said something of themselves.
    pub(crate) agents_said: Arc<News>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Agent {
    /// This program's path; where its file was replaced or removed, the one that runs.
    pub(crate) fn program(&self) -> String {
        if self.settings.program.exists() {
            self.settings.program.to_string_lossy().into_owned()
        } else {
            format!("/proc/{}/exe", std::process::id())
        }
    }

    /// Runs a task that ends with the agent at the latest.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }
}
