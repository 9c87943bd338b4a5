//! A worker's terminal, streamed to a person through the coordinator.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use sprint_core::ids::WorkerId;
use sprint_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::connection::{causes, connect};
use crate::context::Agent;
use crate::host::environment;
use crate::tmux::{Presence, Tmux};

/// Screens, at most; a slow person slows tmux down, not the agent.
const UP: usize = 16;
/// How long the coordinator may take to close its side after the end was sent.
const LAST_MESSAGE_LIMIT: Duration = Duration::from_secs(5);
/// Used where a person's tool does not say how large the terminal is.
const DEFAULT_SIZE: (u16, u16) = (24, 80);

/// Shows a worker's terminal until either side ends it.
pub(super) async fn attach(agent: Arc<Agent>, open: v1::AttachOpen) {
    let v1::AttachOpen { session, worker, columns, rows } = open;
    let mut client = match connect(&agent).await {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(worker, why = causes(&error), "a terminal could not be shown");
            return;
        }
    };
    let (up, output) = mpsc::channel(UP);
    if up.send(v1::TerminalOutput { session, data: Bytes::new(), ended: None }).await.is_err() {
        return;
    }
    let mut input = match client.terminal(ReceiverStream::new(output)).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            tracing::warn!(worker, %status, "a terminal could not be shown");
            return;
        }
    };
    let worker = WorkerId::new(worker);
    let why = match open_tmux(&agent, worker, size(columns, rows)).await {
        Ok((child, read, write)) => relay(child, read, write, &mut input, &up).await,
        Err(why) => why,
    };
    tracing::debug!(%worker, why, "a terminal was closed");
    up.send(v1::TerminalOutput { session: 0, data: Bytes::new(), ended: Some(why) }).await.ok();
    drop(up);
    // Letting go of the input would cancel the call before the last message is out.
    let rest = async { while let Ok(Some(_)) = input.message().await {} };
    tokio::time::timeout(LAST_MESSAGE_LIMIT, rest).await.ok();
}

async fn open_tmux(
    agent: &Agent,
    worker: WorkerId,
    size: Size,
) -> Result<(Child, OwnedReadPty, OwnedWritePty), String> {
    if agent.fleet.get(worker).is_none() {
        return Err(format!("worker {worker} is not on this outpost"));
    }
    match agent.tmux.presence(worker).await {
        Presence::Alive => {}
        Presence::Gone => return Err(format!("worker {worker} has no terminal: its command does not run")),
        Presence::Unknown => return Err("tmux does not answer on the outpost; try again".to_owned()),
    }
    let failed = |error: pty_process::Error| format!("no terminal could be opened on the outpost: {error}");
    let (pty, pts) = pty_process::open().map_err(failed)?;
    pty.resize(size).map_err(failed)?;
    let child = pty_process::Command::new("tmux")
        .arg("-S")
        .arg(agent.tmux.socket())
        .args(["-u", "attach-session", "-t", &format!("={}", Tmux::session(worker))])
        .env_clear()
        .envs(environment::plain())
        .env("TERM", "xterm-256color")
        .kill_on_drop(true)
        .spawn(pts)
        .map_err(failed)?;
    let (read, write) = pty.into_split();
    Ok((child, read, write))
}

/// Carries bytes both ways; returns why it ended.
async fn relay(
    mut child: Child,
    mut read: OwnedReadPty,
    mut write: OwnedWritePty,
    input: &mut Streaming<v1::AttachInput>,
    up: &mpsc::Sender<v1::TerminalOutput>,
) -> String {
    let mut buffer = vec![0; 16 << 10];
    let why = loop {
        tokio::select! {
            shown = read.read(&mut buffer) => match shown {
                // A terminal whose last user has gone reads as an error.
                Ok(0) | Err(_) => break "the terminal has ended".to_owned(),
                Ok(count) => {
                    let data = Bytes::copy_from_slice(&buffer[..count]);
                    if up.send(v1::TerminalOutput { session: 0, data, ended: None }).await.is_err() {
                        break "the coordinator closed it".to_owned();
                    }
                }
            },
            typed = input.message() => match typed {
                Ok(Some(v1::AttachInput { worker: _, data, columns, rows })) => {
                    if columns > 0 && rows > 0
                        && let Err(error) = write.resize(size(columns, rows))
                    {
                        tracing::debug!(%error, "a terminal could not be resized");
                    }
                    if !data.is_empty() && write.write_all(&data).await.is_err() {
                        break "the terminal has ended".to_owned();
                    }
                }
                Ok(None) => break "detached".to_owned(),
                Err(status) => break status.message().to_owned(),
            }
        }
    };
    // Only tmux's client ends here; the worker's session goes on.
    child.start_kill().ok();
    child.wait().await.ok();
    why
}

fn size(columns: u32, rows: u32) -> Size {
    let or = |given: u32, default: u16| u16::try_from(given).ok().filter(|given| *given > 0).unwrap_or(default);
    Size::new(or(rows, DEFAULT_SIZE.0), or(columns, DEFAULT_SIZE.1))
}
