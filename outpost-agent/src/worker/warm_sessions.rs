//! Warm sessions: started in advance, so that a start costs little more than the worker's own command.
//!
//! In each a shim waits for its worker. It holds a connection to the agent: the agent names the worker over it, and
//! when the agent ends the shim ends, too. `docs/decisions/0013-warm-sessions.md` says why.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sprint_core::ids::WorkerId;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::Notify;

use crate::host::paths::WorkerDir;
use crate::tmux::{DUPLICATE, Tmux, TmuxError};

/// A session whose shim waits for a worker.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) session: String,
    pub(super) shim: UnixStream,
}

/// The warm sessions.
#[derive(Debug)]
pub(crate) struct WarmSessions {
    size: usize,
    waiting: Mutex<VecDeque<Waiting>>,
    fewer: Notify,
}

impl WarmSessions {
    /// Keeps `size` warm sessions, once their upkeep runs.
    pub(crate) fn new(size: usize) -> Self {
        Self { size, waiting: Mutex::default(), fewer: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are fewer than there should be.
    pub(super) fn lacks(&self) -> bool {
        self.lock().len() < self.size
    }

    /// Waits until there may be fewer.
    pub(super) async fn fewer(&self) {
        self.fewer.notified().await;
    }

    pub(super) fn add(&self, waiting: Waiting) {
        self.lock().push_back(waiting);
    }

    /// Forgets the sessions that tmux does not have any more.
    pub(crate) fn retain(&self, alive: &BTreeSet<String>) {
        let mut waiting = self.lock();
        let before = waiting.len();
        waiting.retain(|waiting| alive.contains(&waiting.session));
        if waiting.len() < before {
            self.fewer.notify_one();
        }
    }

    /// Gives a warm session to a worker whose plan is written; says whether one took it.
    pub(crate) async fn begin(&self, tmux: &Tmux, worker: WorkerId, dir: &WorkerDir) -> bool {
        loop {
            let Some(Waiting { session, mut shim }) = self.lock().pop_front() else { return false };
            let given = tmux.give_session(&session, worker).await;
            if let Err(TmuxError::Refused(said)) = &given
                && said.contains(DUPLICATE)
            {
                // The worker has a session already, which the caller finds out.
                self.lock().push_front(Waiting { session, shim });
                return false;
            }
            self.fewer.notify_one();
            match given {
                Ok(()) => {}
                Err(TmuxError::Refused(said)) => {
                    tracing::debug!(session, %worker, said, "a warm session has gone");
                    continue;
                }
                // Whether it was renamed is not known: its shim ends, and takes it away in either case.
                Err(TmuxError::Disconnected) => return false,
            }
            match shim.write_all(format!("{}\n", dir.path().display()).as_bytes()).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::debug!(session, %worker, %error, "a warm shim is gone");
                    tmux.kill_session(worker).await;
                }
            }
        }
    }
}
