//! The upkeep of warm sessions and directories, in quiet moments. A session counts once its shim has asked for a
//! worker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use tokio::net::{UnixListener, UnixStream};

use super::warm_sessions::Waiting;
use crate::context::Agent;
use crate::host::paths::WARM_SOCKET;
use crate::host::socket;
use crate::tmux::{NewSession, Tmux, TmuxError};

/// How long a new session's shim may take to ask for a worker.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a session could not be prepared.
const PREPARE_AGAIN: Duration = Duration::from_secs(10);
/// The pause between two refusals.
const REFUSE_AGAIN: Duration = Duration::from_secs(1);

/// Keeps the warm sessions and directories, after starts, until the agent ends.
pub(crate) async fn run(agent: Arc<Agent>) {
    let sessions = &agent.warm_sessions;
    if !sessions.lacks() {
        return;
    }
    let listener = match socket::listen(agent.data.root(), WARM_SOCKET) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "no session can be kept warm; workers start a little later");
            return;
        }
    };
    loop {
        while agent.warm_dirs.lacks() {
            agent.repositories.quiet().await;
            if let Err(error) = agent.warm_dirs.add(&agent.data, agent.policy.as_ref(), &agent.settings.program) {
                tracing::warn!(%error, "a worker's directory could not be made in advance");
                break;
            }
        }
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
        tokio::select! {
            () = sessions.fewer() => {}
            // A shim that came too late must not wait for ever: it would get no worker, and its session no end.
            () = refuse_all(&listener) => {}
        }
    }
}

/// Starts a session, and waits until its shim asks for a worker.
async fn prepare(agent: &Agent, listener: &UnixListener) -> Result<Waiting, PrepareError> {
    let session = Tmux::warm_session();
    let root = agent.data.root();
    let mut command = vec![agent.program(), "warm".to_owned(), root.to_string_lossy().into_owned()];
    if let Some(policy) = &agent.policy {
        std::fs::create_dir_all(agent.data.stage())?;
        command.push(serde_json::to_string(&policy.mechanisms).map_err(io::Error::other)?);
    }
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
        let (stream, peer) = accept(listener).await?;
        if peer == pid {
            return Ok(stream);
        }
        refuse(stream, peer);
    }
}

/// Refuses whoever comes while no shim is awaited, not more often than the log can take; never ends.
async fn refuse_all(listener: &UnixListener) {
    loop {
        match accept(listener).await {
            Ok((stream, peer)) => refuse(stream, peer),
            Err(error) => tracing::warn!(%error, "the socket of warm shims fails"),
        }
        tokio::time::sleep(REFUSE_AGAIN).await;
    }
}

async fn accept(listener: &UnixListener) -> io::Result<(UnixStream, i32)> {
    let (stream, _) = listener.accept().await?;
    let peer = getsockopt(&stream, PeerCredentials)?.pid();
    Ok((stream, peer))
}

fn refuse(stream: UnixStream, pid: i32) {
    drop(stream);
    tracing::warn!(pid, "refused a process that is not a warm shim");
}
