//! The private tmux server: one session for each worker, all over one connection.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sprint_core::ids::WorkerId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{Connection, News, TmuxRequest};
use super::error::TmuxError;
use super::parse::{quoted, unformatted};
use crate::host::disk::{self, Durability};

/// Nothing of a person's own configuration, nothing that costs without use, and nothing by which a worker reaches out of
/// the window of who joins it.
const CONFIG: &str = "\
set -s exit-empty off
set -s escape-time 10
set -g default-terminal screen-256color
set -g default-shell /bin/sh
set -g destroy-unattached off
set -g history-limit 2000
set -g remain-on-exit off
set -g status off
set -s set-clipboard off
set -g set-titles off
set -gq allow-passthrough off
set -g update-environment ''
setw -g allow-rename off
setw -g automatic-rename off
";

/// The session that keeps the server's connection.
const CONTROL: &str = "control";
/// What the names of warm sessions begin with; every other session is a worker's.
const WARM: &str = "warm-";

/// How a session is to be started.
#[derive(Debug)]
pub(crate) struct NewSession<'a> {
    pub(crate) session: &'a str,
    pub(crate) cwd: &'a Path,
    /// The pane's command, started without a shell.
    pub(crate) command: &'a [String],
}

/// The sessions that the server has, besides the one of the connection.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) workers: BTreeSet<WorkerId>,
    pub(crate) warm: BTreeSet<String>,
    /// Names that are not ours.
    pub(crate) others: Vec<String>,
}

/// Whether a worker has a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Alive,
    Gone,
    /// tmux did not answer.
    Unknown,
}

/// A handle on the private server.
#[derive(Debug, Clone)]
pub(crate) struct Tmux {
    socket: PathBuf,
    requests: mpsc::Sender<TmuxRequest>,
    news: Arc<News>,
}

impl Tmux {
    /// Writes the configuration and starts connecting; the task belongs to `tasks`.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub(crate) fn start(
        socket: PathBuf,
        conf: PathBuf,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        // A server that runs has read it, and an old one is as good on a full disk.
        if std::fs::read(&conf).ok().as_deref() != Some(CONFIG.as_bytes()) {
            disk::write_atomic(&conf, CONFIG.as_bytes(), Durability::Process)?;
        }
        // Enough for a burst of starts; senders wait beyond it.
        let (requests, receiver) = mpsc::channel(256);
        let news = Arc::new(News::default());
        let cwd = conf.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let connection = Connection { socket: socket.clone(), conf, cwd, requests: receiver, news: news.clone() };
        tasks.spawn(connection.run(stop));
        Ok(Self { socket, requests, news })
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The session of a worker.
    pub(crate) fn session(worker: WorkerId) -> String {
        format!("w{worker}")
    }

    /// Waits until sessions came or went; may also return for no reason.
    pub(crate) async fn sessions_changed(&self) {
        self.news.sessions.notified().await;
    }

    /// A name for a warm session, never used before.
    pub(crate) fn warm_session() -> String {
        format!("{WARM}{:016x}", fastrand::u64(..))
    }

    /// Starts a session; answers the process of its pane.
    ///
    /// # Errors
    /// [`TmuxError`]; a session of that name that exists is one.
    pub(crate) async fn new_session(&self, new: &NewSession<'_>) -> Result<i32, TmuxError> {
        let NewSession { session, cwd, command } = new;
        let cwd = quoted(&unformatted(&cwd.to_string_lossy()));
        let command = command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let line = format!("new-session -d -P -F '#{{pane_pid}}' -s {session} -x 200 -y 50 -c {cwd} -- {command}");
        let said = self.ask(line).await?;
        said.trim().parse().map_err(|_| TmuxError::Refused(format!("its pane has no process: {said:?}")))
    }

    /// Gives a warm session to a worker.
    ///
    /// # Errors
    /// [`TmuxError`]; it is gone, or the worker has a session.
    pub(crate) async fn give_session(&self, warm: &str, worker: WorkerId) -> Result<(), TmuxError> {
        self.ask(format!("rename-session -t ={warm} {}", Self::session(worker))).await.map(drop)
    }

    /// Has the further windows that a person opens in a worker's session begin in a directory.
    pub(crate) async fn set_directory(&self, worker: WorkerId, cwd: &Path) {
        // Quoted for the shell that runs it, and for tmux.
        let command = quoted(&format!("cd {} && exec /bin/sh", quoted(&cwd.to_string_lossy())));
        let line = format!("set-option -t ={}: default-command {command}", Self::session(worker));
        if let Err(error) = self.ask(line).await {
            tracing::debug!(%worker, %error, "a session has no directory of its own");
        }
    }

    /// Whether a worker's session is there.
    pub(crate) async fn presence(&self, worker: WorkerId) -> Presence {
        match self.ask(format!("has-session -t ={}", Self::session(worker))).await {
            Ok(_) => Presence::Alive,
            Err(TmuxError::Refused(_)) => Presence::Gone,
            Err(TmuxError::Disconnected) => Presence::Unknown,
        }
    }

    /// Ends a worker's session, if it is there; its pane is hung up.
    pub(crate) async fn kill_session(&self, worker: WorkerId) {
        match self.ask(format!("kill-session -t ={}", Self::session(worker))).await {
            Ok(_) => tracing::debug!(%worker, "the session was ended"),
            // Usual: the session ended with its command.
            Err(TmuxError::Refused(_) | TmuxError::Disconnected) => {}
        }
    }

    /// What sessions there are.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub(crate) async fn sessions(&self) -> Result<Sessions, TmuxError> {
        let list = self.ask("list-sessions -F '#{session_name}'".to_owned()).await?;
        let mut sessions = Sessions::default();
        for name in list.lines().filter(|name| *name != CONTROL) {
            match name.strip_prefix('w').and_then(|id| id.parse().ok()) {
                Some(worker) => {
                    sessions.workers.insert(worker);
                }
                None if name.starts_with(WARM) => {
                    sessions.warm.insert(name.to_owned());
                }
                None => sessions.others.push(name.to_owned()),
            }
        }
        Ok(sessions)
    }

    /// What every pane of a session shows and has shown.
    ///
    /// # Errors
    /// [`TmuxError`]; a session that is gone is one.
    pub(crate) async fn shown(&self, session: &str) -> Result<String, TmuxError> {
        let panes = format!("list-panes -s -t {} -F '#{{pane_id}}'", quoted(&format!("={session}")));
        let mut shown = String::new();
        for pane in self.ask(panes).await?.lines() {
            shown.push_str(&self.ask(format!("capture-pane -p -S - -t {}", quoted(pane))).await?);
            shown.push('\n');
        }
        Ok(shown)
    }

    async fn ask(&self, line: String) -> Result<String, TmuxError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(TmuxRequest { line, reply }).await.map_err(|_| TmuxError::Disconnected)?;
        answer.await.map_err(|_| TmuxError::Disconnected)?
    }
}
