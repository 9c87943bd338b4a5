//! Work is brought to the coordinator while its worker runs, whenever it has changed: a host may be gone for good.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sprint_core::ids::{CommitId, TreeId, wip_ref};
use sprint_failpoint::{Point, pass};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::WorkerHandle;
use crate::context::Agent;
use crate::host::disk::{self, Durability};
use crate::host::paths::WorkerDir;
use crate::workspace::fingerprint::{self, Fingerprint};
use crate::workspace::git::GitError;
use crate::workspace::own_git::GitState;
use crate::workspace::save::Workspace;
use crate::workspace::scratch::Scratch;

/// How long a worker's end waits for a push of its last snapshot; its own push would hardly be faster.
const PUSH_LIMIT: Duration = Duration::from_secs(5);

/// The number of new files after which the list of ignored files is read again.
const MANY: usize = 1_000;

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    /// Where the commits end.
    head: CommitId,
    /// Everything, where some is not committed.
    uncommitted: Option<TreeId>,
}

/// Whether the coordinator may have a snapshot of a worker.
pub(super) fn may_exist(dir: &WorkerDir) -> bool {
    dir.snapshot().exists()
}

/// The snapshot that the coordinator has for certain.
fn recorded(dir: &WorkerDir) -> Option<Content> {
    std::fs::read(dir.snapshot()).ok().and_then(|content| serde_json::from_slice(&content).ok()?)
}

fn record(dir: &WorkerDir, content: Option<&Content>) -> Result<(), GitError> {
    let text = serde_json::to_vec(&content).map_err(|error| GitError::Start(error.into()))?;
    disk::write_atomic(&dir.snapshot(), &text, Durability::Process).map_err(GitError::Start)
}

/// One worker's snapshots, as its task holds them.
#[derive(Debug)]
pub(super) struct Snapshots {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Snapshots {
    pub(super) fn start(agent: Arc<Agent>, handle: Arc<WorkerHandle>, workspace: Workspace) -> Self {
        let stop = agent.stop.child_token();
        let tasks = agent.tasks.clone();
        let task = SnapshotTask {
            newest: recorded(&handle.dir),
            seen: None,
            ignored: BTreeSet::new(),
            files: 0,
            ready: None,
            stop: stop.clone(),
            agent,
            handle,
            workspace,
        };
        Self { stop, task: tasks.spawn(task.run()) }
    }

    /// Returns once nothing of it is under way.
    pub(super) async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "taking snapshots panicked");
        }
    }
}

/// The result of one try.
enum Try {
    /// Nothing was new, or what was new is at the coordinator.
    Done,
    /// The worker is ending, or its attempt is over.
    Last,
}

struct SnapshotTask {
    agent: Arc<Agent>,
    handle: Arc<WorkerHandle>,
    workspace: Workspace,
    stop: CancellationToken,
    /// What the coordinator has.
    newest: Option<Content>,
    /// The workspace when that was made.
    seen: Option<u64>,
    ignored: BTreeSet<PathBuf>,
    /// How many files there were when it was looked what is ignored.
    files: usize,
    ready: Option<Ready>,
}

/// What the next snapshot can go on with: git has read every file once.
struct Ready {
    scratch: Scratch,
    /// Of the worker's repository, for which it was made.
    state: Option<GitState>,
    head: CommitId,
    /// The tree of the head.
    committed: TreeId,
}

impl SnapshotTask {
    async fn run(mut self) {
        let agent = self.agent.clone();
        Scratch::sweep(&self.handle.dir);
        let mut every = agent.snapshot_pace.every.subscribe();
        // Workers that start together are spread over the interval.
        let mut share = fastrand::f64();
        loop {
            let period = *every.borrow_and_update();
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = every.changed() => if changed.is_ok() { continue } else { return },
                () = tokio::time::sleep(period.mul_f64(share)), if !period.is_zero() => share = 1.0,
            }
            let turn = tokio::select! {
                () = self.stop.cancelled() => return,
                turn = agent.snapshot_pace.turns.acquire() => turn,
            };
            match self.take().await {
                Ok(Try::Done) => {}
                Ok(Try::Last) => return,
                Err(error) if error.says_late() => {
                    tracing::info!(worker = %self.handle.id(), "its attempt is over; no more snapshots are taken");
                    return;
                }
                Err(error) => {
                    tracing::warn!(worker = %self.handle.id(), %error, "a snapshot failed; the next is taken in its turn");
                }
            }
            drop(turn);
        }
    }

    async fn take(&mut self) -> Result<Try, GitError> {
        let (worker, began) = (self.handle.id(), Instant::now());
        let found = self.walk().await?;
        if found.print.is_some() && found.print == self.seen {
            tracing::trace!(%worker, took = ?began.elapsed(), "nothing has changed");
            return Ok(Try::Done);
        }
        let (stop, print) = (self.stop.clone(), found.print);
        // Unless all goes well it is not used again: a git that was interrupted may still be at work in it.
        let ready = tokio::select! {
            () = stop.cancelled() => return Ok(Try::Last),
            ready = self.get_ready() => ready?,
        };
        let made = tokio::select! {
            () = stop.cancelled() => return Ok(Try::Last),
            made = self.make(&ready, found) => made?,
        };
        if let Some((content, commit)) = made {
            let made = began.elapsed();
            record(&self.handle.dir, None)?;
            pass(Point::SnapshotBefore);
            tokio::select! {
                pushed = self.push(&commit, &ready.scratch) => pushed?,
                () = late(&stop) => return Ok(Try::Last),
            }
            pass(Point::SnapshotAfter);
            record(&self.handle.dir, Some(&content))?;
            tracing::debug!(%worker, %commit, ?made, took = ?began.elapsed(), "a snapshot was taken");
            self.newest = Some(content);
        }
        self.seen = print;
        self.ready = Some(ready);
        Ok(Try::Done)
    }

    async fn walk(&self) -> Result<Fingerprint, GitError> {
        let (path, ignored) = (self.handle.dir.workspace(), self.ignored.clone());
        let walked = tokio::task::spawn_blocking(move || fingerprint::of(&path, &ignored)).await;
        walked.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(GitError::Start)
    }

    async fn get_ready(&mut self) -> Result<Ready, GitError> {
        let state = self.workspace.state();
        if let Some(ready) = self.ready.take().filter(|ready| ready.state == state) {
            self.workspace.empty(&ready.scratch).map_err(GitError::Start)?;
            return Ok(ready);
        }
        let scratch = Scratch::passing(&self.handle.dir);
        let head = self.workspace.prepare(&scratch).map_err(GitError::Start)?;
        let committed = self.workspace.tree_of(&head, &scratch).await?;
        Ok(Ready { scratch, state, head, committed })
    }

    /// Makes a commit of what is new; none when the coordinator has it all.
    async fn make(&mut self, ready: &Ready, found: Fingerprint) -> Result<Option<(Content, CommitId)>, GitError> {
        let Ready { scratch, state: _, head, committed } = ready;
        let (tree, _) = self.workspace.write_tree(&found.large, scratch).await?;
        let content = Content { head: head.clone(), uncommitted: (tree != *committed).then_some(tree) };
        let nothing = Content { head: self.handle.assignment.base.clone(), uncommitted: None };
        let new = content != *self.newest.as_ref().unwrap_or(&nothing);
        if !new || found.files > self.files + MANY {
            self.ignored = self.workspace.ignored(scratch).await?;
            self.files = found.files;
        }
        if !new {
            return Ok(None);
        }
        let commit = match &content.uncommitted {
            Some(tree) => self.workspace.commit_tree(tree, head, scratch).await?,
            None => head.clone(),
        };
        self.workspace.take_over(&[&commit], scratch).await?;
        Ok(Some((content, commit)))
    }

    async fn push(&self, commit: &CommitId, scratch: &Scratch) -> Result<(), GitError> {
        let mut known = self.agent.repositories.remote.subscribe();
        let remote = known.wait_for(Option::is_some).await.ok().and_then(|remote| remote.clone());
        let Some(remote) = remote else { return Ok(()) };
        let assignment = &self.handle.assignment;
        let Some(job) = assignment.job.attempt() else { return Ok(()) };
        let refspec = format!("+{commit}:{}", wip_ref(job.item, job.attempt));
        self.workspace.push(&remote, assignment.repo.as_str(), &[refspec], &[], scratch).await
    }
}

/// Some time after the worker's end.
async fn late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(PUSH_LIMIT).await;
}
