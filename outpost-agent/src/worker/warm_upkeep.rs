//! The upkeep of warm sessions: each is started in a quiet moment, and counts once its shim has asked for a worker.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use tokio::net::{UnixListener, UnixStream};

use super::warm_sessions::Waiting;
use crate::context::Agent;
use crate::host::paths::{DataDir, WARM_SOCKET};
use crate::tmux::{NewSession, Tmux, TmuxError};

/// How long a new session's shim may take to ask for a worker.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a session could not be prepared.
const PREPARE_AGAIN: Duration = Duration::from_secs(10);

/// Keeps the warm sessions, after starts, until the agent ends.
pub(crate) async fn run(agent: Arc<Agent>) {
    let sessions = &agent.warm_sessions;
    if !sessions.lacks() {
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
        while sessions.lacks() {
            agent.repositories.quiet().await;
            match prepare(&agent, &listener).await {
                Ok(waiting) => sessions.add(waiting),
                Err(error) => {
                    tracing::warn!(%error, "a session could not be started in advance");
                    tokio::time::sleep(PREPARE_AGAIN).await;
                }
            }
        }
        sessions.fewer().await;
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
