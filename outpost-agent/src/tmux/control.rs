//! The one persistent control-mode connection to the private tmux server.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::TmuxError;
use super::parse::{Message, Parser};
use crate::host::environment;

const RECONNECT_FIRST: Duration = Duration::from_millis(20);
const RECONNECT_LAST: Duration = Duration::from_secs(2);
/// How long a server may end every connection at once before it is killed.
const REFUSAL_LIMIT: Duration = Duration::from_secs(5);

/// A command for tmux, and who waits for the answer.
#[derive(Debug)]
pub(super) struct TmuxRequest {
    pub(super) line: String,
    pub(super) reply: Reply,
}

pub(super) type Reply = oneshot::Sender<Result<String, TmuxError>>;

/// The notifications for the rest of the agent.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Sessions came or went, or the server was lost.
    pub(crate) sessions: Notify,
}

/// Kills the clients of agents before this one. tmux does not let a client go whose last messages cannot be written,
/// as they cannot when its agent was killed; and a server that is told to end waits for each of its clients.
async fn end_former_clients(clients: oneshot::Receiver<Result<String, TmuxError>>, own: Option<u32>) {
    let Ok(Ok(clients)) = clients.await else { return };
    let pids = clients.lines().filter_map(|pid| pid.parse::<i32>().ok());
    for pid in pids.filter(|pid| u32::try_from(*pid).ok() != own) {
        tracing::info!(pid, "ending the tmux client that an earlier agent has left");
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
}

/// Keeps a connection open and carries requests over it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: PathBuf,
    pub(super) conf: PathBuf,
    pub(super) cwd: PathBuf,
    pub(super) requests: mpsc::Receiver<TmuxRequest>,
    pub(super) news: Arc<News>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// After it had served, or for a reason of the client's own, such as an upgrade of tmux while its server runs.
    Usual,
    /// The server ended it before it had served.
    Refused,
}

impl Connection {
    /// Runs until `stop`: a lost connection is made again, with a new server if the old one is gone.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = RECONNECT_FIRST;
        let mut refused_since = None;
        loop {
            let began = tokio::time::Instant::now();
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.serve() => ended,
            };
            if self.requests.is_closed() {
                return;
            }
            if began.elapsed() > RECONNECT_LAST {
                pause = RECONNECT_FIRST;
            }
            match ended {
                Ok(End::Usual) => refused_since = None,
                Ok(End::Refused) if refused_since.get_or_insert(began).elapsed() > REFUSAL_LIMIT => {
                    self.end_stuck_server();
                    refused_since = None;
                }
                // An error says nothing of the server: its client was gone before it was written to.
                Ok(End::Refused) | Err(_) => {}
            }
            match ended {
                Ok(_) => tracing::warn!("the connection to tmux ended; connecting again"),
                Err(error) => tracing::warn!(%error, "tmux cannot be reached; trying again"),
            }
            self.news.sessions.notify_one();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(RECONNECT_LAST);
        }
    }

    /// Kills a server that ends every connection. One that was told to end has closed its sessions, waits for its
    /// clients, and lets no new one in: a client that is frozen keeps it so for ever, and no other server can start.
    fn end_stuck_server(&self) {
        let peer = UnixStream::connect(&self.socket).and_then(|stream| Ok(getsockopt(&stream, PeerCredentials)?));
        // Without a server the next connection starts one.
        let Ok(peer) = peer else { return };
        tracing::warn!(
            pid = peer.pid(),
            "the tmux server ends every connection; it is killed, and a new one is started"
        );
        if let Err(error) = kill(Pid::from_raw(peer.pid()), Signal::SIGKILL) {
            tracing::warn!(%error, "the tmux server cannot be killed");
        }
    }

    fn connect(&self) -> std::io::Result<(Child, ChildStdin, BufReader<ChildStdout>)> {
        let mut child = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .arg("-f")
            .arg(&self.conf)
            // The pane of the control session reads a terminal without input.
            .args(["-u", "-C", "new-session", "-A", "-s", "control", "-x", "80", "-y", "24", "--", "cat"])
            // The server keeps the first client's environment for every later pane.
            .env_clear()
            .envs(environment::plain())
            .env("TERM", "xterm-256color")
            .current_dir(&self.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || std::io::Error::other("a pipe to tmux is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok((child, input, output))
    }

    /// Carries requests until the connection ends.
    async fn serve(&mut self) -> std::io::Result<End> {
        let (child, mut input, mut output) = self.connect()?;
        let mut parser = Parser::default();
        // The commands that tmux has not answered yet, which it does in their order.
        let mut pending: VecDeque<Reply> = VecDeque::new();
        let (reply, clients) = oneshot::channel();
        pending.push_back(reply);
        input.write_all(b"list-clients -t =control -F '#{client_pid}'\n").await?;
        tokio::spawn(end_former_clients(clients, child.id()));
        let mut line = vec![];
        let (mut served, mut ended_by_server) = (false, false);
        loop {
            tokio::select! {
                read = output.read_until(b'\n', &mut line) => {
                    if read? == 0 {
                        // Dropping `pending` tells those who wait.
                        return Ok(if ended_by_server && !served { End::Refused } else { End::Usual });
                    }
                    let said = parser.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                    line.clear();
                    let answer = match said {
                        Some(Message::Done(text)) => Ok(text),
                        Some(Message::Failed(text)) => Err(TmuxError::Refused(text)),
                        Some(Message::SessionsChanged) => {
                            served = true;
                            self.news.sessions.notify_one();
                            continue;
                        }
                        Some(Message::ServerEnded) => {
                            ended_by_server = true;
                            continue;
                        }
                        None => continue,
                    };
                    served = true;
                    if let Some(first) = pending.pop_front() {
                        first.send(answer).ok();
                    }
                }
                request = self.requests.recv() => {
                    let Some(TmuxRequest { line, reply }) = request else { return Ok(End::Usual) };
                    pending.push_back(reply);
                    input.write_all(line.as_bytes()).await?;
                    input.write_all(b"\n").await?;
                }
            }
        }
    }
}
