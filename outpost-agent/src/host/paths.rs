//! Where the agent keeps things: its data directory, and one directory for each worker.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use sprint_core::assignment::Assignment;
use sprint_core::ids::{RepoName, WorkerId};
use sprint_core::job::{AttemptJob, GateJob, Job};

/// A little less than what the kernel takes, for the names that tmux derives.
const LONGEST_SOCKET: usize = 100;

/// The socket in the data directory at which warm shims ask for a worker.
pub(crate) const WARM_SOCKET: &str = "warm.sock";

/// The agent's data directory.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file whose lock says that an agent uses this directory.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The outpost's key and certificate.
    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    pub(crate) fn tmux_conf(&self) -> PathBuf {
        self.root.join("tmux.conf")
    }

    /// Where tmux listens.
    ///
    /// A socket's path is limited to 107 bytes; where the data directory's is too
    /// long, a private directory with a short one is used, and remembered by a link.
    ///
    /// # Errors
    /// No such directory can be made.
    pub(crate) fn tmux_socket(&self) -> io::Result<PathBuf> {
        let usual = self.root.join("tmux.sock");
        if usual.as_os_str().len() <= LONGEST_SOCKET {
            return Ok(usual);
        }
        let link = self.root.join("run");
        if let Ok(target) = fs::read_link(&link)
            && fs::metadata(&target).is_ok_and(|target| target.is_dir() && target.uid() == Uid::effective().as_raw())
        {
            return Ok(target.join("tmux.sock"));
        }
        let parent = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
        let parent = parent.unwrap_or_else(|| PathBuf::from("/tmp"));
        let short = parent.join(format!("sprint-{:016x}", fastrand::u64(..)));
        fs::DirBuilder::new().mode(0o700).create(&short)?;
        fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(&short, &link)?;
        Ok(short.join("tmux.sock"))
    }

    pub(crate) fn mirror(&self, repo: &RepoName) -> PathBuf {
        self.root.join("mirrors").join(format!("{repo}.git"))
    }

    /// The worktrees of a repo that are ready to be taken.
    pub(crate) fn warm(&self, repo: &RepoName) -> PathBuf {
        self.warm_trees().join(repo.as_str())
    }

    pub(crate) fn warm_trees(&self) -> PathBuf {
        self.root.join("warm")
    }

    /// What setups of a repo have filled for the workspaces that come.
    pub(crate) fn caches(&self, repo: &RepoName) -> PathBuf {
        self.all_caches().join(repo.as_str())
    }

    pub(crate) fn all_caches(&self) -> PathBuf {
        self.root.join("caches")
    }

    pub(crate) fn mirrors(&self) -> PathBuf {
        self.root.join("mirrors")
    }

    /// Directories that wait for their workers.
    pub(crate) fn warm_workers(&self) -> PathBuf {
        self.root.join("warm-workers")
    }

    pub(crate) fn workers(&self) -> PathBuf {
        self.root.join("workers")
    }

    pub(crate) fn worker(&self, id: WorkerId) -> WorkerDir {
        WorkerDir { path: self.workers().join(id.to_string()) }
    }

    /// Where a worker's directory is kept that holds what could not be saved.
    pub(crate) fn kept(&self, Assignment { worker, job, .. }: &Assignment) -> PathBuf {
        let name = match job {
            Job::Attempt(AttemptJob { item, attempt, role: _ }) => format!("{item}-{attempt}-{worker}"),
            Job::Gate(GateJob { trial, gate: _ }) => format!("trial-{trial}-{worker}"),
        };
        self.root.join("kept").join(name)
    }

    /// What sessions showed that are no worker's.
    pub(crate) fn orphan_sessions(&self) -> PathBuf {
        self.root.join("strangers")
    }

    /// Where a report is kept that no message holds.
    pub(crate) fn dead_letter(&self, worker: WorkerId, seq: u64) -> PathBuf {
        self.root.join(format!("dead-letter-{worker}-{seq}.json"))
    }

    /// The confinement of filters that the agent's own git runs.
    pub(crate) fn filters(&self) -> WorkerDir {
        WorkerDir { path: self.root.join("filters") }
    }

    /// Where something is kept that could not be removed.
    pub(crate) fn kept_trash(&self) -> PathBuf {
        self.root.join("kept")
    }

    /// What was renamed away and is being deleted.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Empty: each worker's view of the file system is built on it, unseen by the others.
    pub(crate) fn stage(&self) -> PathBuf {
        self.root.join("stage")
    }
}

/// One worker's directory.
#[derive(Debug, Clone)]
pub(crate) struct WorkerDir {
    path: PathBuf,
}

impl WorkerDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn assignment(&self) -> PathBuf {
        self.path.join("assignment.json")
    }

    /// The worker's reports, in order, and which of them were acknowledged.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("reports.jsonl")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path.join("workspace")
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.path.join("context")
    }

    /// The directory of the worker's own programs.
    pub(crate) fn programs(&self) -> PathBuf {
        self.context().join("bin")
    }

    pub(crate) fn prompt(&self) -> PathBuf {
        self.context().join("prompt.md")
    }

    pub(crate) fn feedback(&self) -> PathBuf {
        self.context().join("feedback.md")
    }

    /// What the worker may have and nobody else is to see.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.path.join("secrets.json")
    }

    /// The directory of those that the worker finds as files.
    pub(crate) fn secret_files(&self) -> PathBuf {
        self.context().join("secrets")
    }

    /// What a gate judges.
    pub(crate) fn changes(&self) -> PathBuf {
        self.context().join("changes.json")
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    /// What a worker finds at `/tmp`.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// What a worker finds as its home directory, where it has a view of its own.
    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// What a worker has changed in directories that it shares with others.
    pub(crate) fn layers(&self) -> PathBuf {
        self.path.join("layers")
    }

    /// The refs that the workspace began with, beside the worker's own branch.
    pub(crate) fn given_refs(&self) -> PathBuf {
        self.path.join("given-refs")
    }

    /// The submodules that the workspace began with, if there are any.
    pub(crate) fn given_submodules(&self) -> PathBuf {
        self.path.join("given-submodules.json")
    }

    /// Why the directory is to be kept.
    pub(crate) fn keep(&self) -> PathBuf {
        self.path.join("keep")
    }

    /// How often an agent has ended in the middle of something that touches what the worker has left.
    pub(crate) fn risk(&self, what: &str) -> PathBuf {
        self.path.join(format!("{what}.risk"))
    }

    /// The newest snapshot of its work that the coordinator has, or was to get.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.path.join("snapshot.json")
    }

    /// Why there is nothing to do, by the worker's word.
    pub(crate) fn nothing_to_do(&self) -> PathBuf {
        self.path.join("nothing-to-do")
    }

    /// What the worker's agent keeps: settings, logins, conversations.
    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// What the worker's agent has said of itself.
    pub(crate) fn agent(&self) -> PathBuf {
        self.path.join("agent.json")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("worker.sock")
    }

    /// What the shim is to run.
    pub(crate) fn plan(&self) -> PathBuf {
        self.path.join("exec.json")
    }

    /// How what the shim ran has ended.
    pub(crate) fn exit(&self) -> PathBuf {
        self.path.join("exit.json")
    }

    /// The shim's claim on a round: it exists from the shim's first moment, is
    /// locked while the shim lives, and becomes `exit.json` at its end.
    pub(crate) fn claim(&self, round: u32) -> PathBuf {
        self.path.join(format!("exit-{round}.new"))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("terminal.log")
    }

    /// Says that nothing more of a round comes into the log.
    pub(crate) fn log_end(&self, round: u32) -> PathBuf {
        self.path.join(format!("log-{round}.end"))
    }

    /// Why the coordinator wants the worker to end.
    pub(crate) fn stop(&self) -> PathBuf {
        self.path.join("stop.json")
    }
}
