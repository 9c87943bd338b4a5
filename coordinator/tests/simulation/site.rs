//! The coordinator of a simulation: its own services on a database and a repository in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use coordinator::clock::{Host, Time};
use coordinator::config::FleetConfig;
use coordinator::git::GitRepos;
use coordinator::identity::Certificates;
use coordinator::service::Coordinator;
use coordinator::service::fleet::logs::Logs;
use coordinator::service::fleet::presence;
use coordinator::store::{Location, Store};
use git2::{Repository, Signature};
use sprint_core::fixtures;
use sprint_core::ids::CommitId;
use sprint_core::time::Timestamp;
use tempfile::TempDir;

/// When a simulation begins, by the host's clock.
const EPOCH: i64 = 1_700_000_000_000;

/// How long a cut-off outpost keeps its work here.
pub(crate) const GRACE: Duration = Duration::from_mins(1);

/// The simulated clocks, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    pub(crate) now: AtomicI64,
    pub(crate) jump: AtomicI64,
}

struct Simulated(Arc<Clocks>);

impl Host for Simulated {
    fn wall(&self) -> Timestamp {
        let (now, jump) = (self.0.now.load(Ordering::Relaxed), self.0.jump.load(Ordering::Relaxed));
        Timestamp::from_millis(EPOCH + now + jump)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now.load(Ordering::Relaxed)).unwrap())
    }
}

/// What outlives the coordinator's process.
pub(crate) struct Site {
    directory: TempDir,
    pub(crate) clocks: Arc<Clocks>,
    pub(crate) objects: Repository,
}

impl Site {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = tempfile::Builder::new().prefix("sprint-simulation.").tempdir_in(parent).unwrap();
        let bare = directory.path().join(format!("repos/{}.git", fixtures::repo_name()));
        let objects = Repository::init_bare(bare).unwrap();
        let site = Self { directory, clocks: Arc::default(), objects };
        site.commit(None, "README", "begin", Some("refs/heads/main"));
        site
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Starts the coordinator on whatever is there.
    pub(crate) async fn start(&self) -> Coordinator {
        let time = Arc::new(Time::of(Simulated(Arc::clone(&self.clocks))));
        let database = self.path().join("sprint.db");
        let store = Store::open_with(Location::Sqlite(&database), time).await.unwrap();
        let git = GitRepos::open(self.path().join("repos")).await.unwrap();
        let logs = Logs::open(self.path().join("logs")).unwrap();
        let certificates = Certificates::open(&self.path(), &[], None, coordinator::service::now()).unwrap();
        let settings = FleetConfig { disconnect_grace: GRACE, ..FleetConfig::default() };
        let sprint = Coordinator::new(store, git, logs, Arc::new(certificates), self.path(), settings);
        presence::all_offline(&sprint).await.unwrap();
        sprint
    }

    /// Makes a commit that adds one file to its parent's; nothing but the arguments decides what it is.
    pub(crate) fn commit(&self, parent: Option<&CommitId>, file: &str, text: &str, at: Option<&str>) -> CommitId {
        let parent = parent.map(|parent| self.objects.find_commit(parent.as_str().parse().unwrap()).unwrap());
        let tree = parent.as_ref().map(|parent| parent.tree().unwrap());
        let mut builder = self.objects.treebuilder(tree.as_ref()).unwrap();
        builder.insert(file, self.objects.blob(text.as_bytes()).unwrap(), 0o100_644).unwrap();
        let tree = self.objects.find_tree(builder.write().unwrap()).unwrap();
        let signature = Signature::new("worker", "worker@localhost", &git2::Time::new(0, 0)).unwrap();
        let parents = parent.iter().collect::<Vec<_>>();
        let made = self.objects.commit(at, &signature, &signature, text, &tree, &parents).unwrap();
        CommitId::new(made.to_string()).unwrap()
    }

    /// The files that a branch has.
    pub(crate) fn files(&self, branch: &str) -> Vec<String> {
        let tree = self.objects.find_reference(&format!("refs/heads/{branch}")).unwrap().peel_to_tree().unwrap();
        tree.iter().filter_map(|entry| entry.name().ok().map(ToOwned::to_owned)).collect()
    }
}
