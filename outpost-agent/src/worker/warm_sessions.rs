//! Warm sessions: started in advance, so that a start costs little more than the worker's own command.
//!
//! In each a shim waits for its worker. It holds a connection to the agent: the agent names the worker over it, and
//! when the agent ends the shim ends, too. `docs/decisions/0013-warm-sessions.md` says why.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use sprint_core::ids::WorkerId;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::context::Agent;
use crate::host::paths::{DataDir, WARM_SOCKET, WorkerDir};
use crate::tmux::{NewSession, Tmux, TmuxError};

/// How long a new session's shim may take to ask for a worker.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a session could not be prepared.
const PREPARE_AGAIN: Duration = Duration::from_secs(10);

/// A session whose shim waits for a worker.
#[derive(Debug)]
struct Waiting {
    session: String,
    shim: UnixStream,
}

/// The warm sessions.
#[derive(Debug)]
pub(crate) struct WarmSessions {
    size: usize,
    waiting: Mutex<VecDeque<Waiting>>,
    fewer: Notify,
}

impl WarmSessions {
    /// Keeps `size` warm sessions, once [`tend`] runs.
    pub(crate) fn new(size: usize) -> Self {
        Self { size, waiting: Mutex::default(), fewer: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Waiting> {
        let taken = self.lock().pop_front();
        if taken.is_some() {
            self.fewer.notify_one();
        }
        taken
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
    pub(crate) async fn begin(&self, agent: &Agent, worker: WorkerId, dir: &WorkerDir) -> bool {
        while let Some(Waiting { session, mut shim }) = self.take() {
            // Refused when it has gone; also when the worker has a session already, which the caller finds out.
            if let Err(error) = agent.tmux.give_session(&session, worker).await {
                tracing::debug!(session, %worker, %error, "a warm session cannot be used");
                continue;
            }
            match shim.write_all(format!("{}\n", dir.path().display()).as_bytes()).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::debug!(session, %worker, %error, "a warm shim is gone");
                    agent.tmux.kill_session(worker).await;
                }
            }
        }
        false
    }
}

/// Keeps the warm sessions, after starts, until the agent ends.
pub(crate) async fn tend(agent: Arc<Agent>) {
    let sessions = &agent.warm_sessions;
    if sessions.size == 0 {
        return;
    }
    let listener = match listen(&agent.data) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "no session can be kept warm; workers start a little later");
            return;
        }
    };
    loop {
        while sessions.lock().len() < sessions.size {
            agent.repositories.quiet().await;
            match prepare(&agent, &listener).await {
                Ok(waiting) => sessions.lock().push_back(waiting),
                Err(error) => {
                    tracing::warn!(%error, "a session could not be started in advance");
                    tokio::time::sleep(PREPARE_AGAIN).await;
                }
            }
        }
        sessions.fewer.notified().await;
    }
}

/// Starts a session, and waits until its shim asks for a worker.
async fn prepare(agent: &Agent, listener: &UnixListener) -> Result<Waiting, PrepareError> {
    let session = Tmux::warm_session();
    let root = agent.data.root();
    let command = [agent.program(), "warm".to_owned(), root.to_string_lossy().into_owned()];
    let pid = agent.tmux.new_session(&NewSession { session: &session, cwd: root, command: &command }).await?;
    match tokio::time::timeout(ARRIVAL_LIMIT, arrival(listener, pid)).await {
        Ok(Ok(shim)) => Ok(Waiting { session, shim }),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(PrepareError::NoShim),
    }
}

#[derive(Debug, thiserror::Error)]
enum PrepareError {
    #[error(transparent)]
    Tmux(#[from] TmuxError),
    #[error("its socket: {0}")]
    Socket(#[from] io::Error),
    #[error("its shim did not ask for a worker")]
    NoShim,
}

/// The connection of the process that tmux has started: any other at this socket is refused.
async fn arrival(listener: &UnixListener, pid: i32) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        let peer = getsockopt(&stream, PeerCredentials)?.pid();
        if peer == pid {
            return Ok(stream);
        }
        tracing::warn!(pid = peer, "refused a process that is not a warm shim");
    }
}

/// The path may be longer than a socket's name can be, so that it is named through the directory's descriptor.
fn listen(data: &DataDir) -> io::Result<UnixListener> {
    let root = File::open(data.root())?;
    let path = format!("/proc/self/fd/{}/{}", root.as_raw_fd(), WARM_SOCKET);
    match fs::remove_file(Path::new(&path)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    UnixListener::bind(path)
}
