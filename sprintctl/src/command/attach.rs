//! `sprintctl worker attach`: tmux itself on the worker's own host, a stream elsewhere.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use clap::Args;
use nix::sys::termios::{self, SetArg, Termios};
use sprint_core::ids::WorkerId;
use sprint_core::worker::{Terminal, Worker};
use sprint_proto::v1;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::app::App;
use crate::failure::Failure;
use crate::output::note;
use crate::secret;
use crate::terminal::Window;

/// Ctrl-], as telnet has it: no agent program is known to want it.
const DETACH: u8 = 0x1d;

/// Ends application keys and the scroll region, leaves the other screen, shows the cursor, and ends mouse reports,
/// bracketed paste and colours.
const RESET: &[u8] =
    b"\x1b[?1l\x1b>\x1b[r\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[0m\r\n";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The worker's number
    id: WorkerId,
    /// Stream through the coordinator even on the worker's own host
    #[arg(long)]
    remote: bool,
}

/// Joins a worker's terminal until the person leaves it or the worker ends.
pub(crate) async fn attach(args: AttachArgs, app: &App) -> Result<(), Failure> {
    let AttachArgs { id, remote } = args;
    let worker = app.client.workers().get(v1::WorkerRequest { id: id.get() }).await?.into_inner();
    let worker = Worker::try_from(worker)?;
    if !worker.state.is_live() {
        return Err(Failure::new(
            "client.no_terminal",
            format!("worker {id} is {} and has no terminal any more", worker.state.name()),
        )
        .with_next(format!("see its log with: sprintctl worker logs {id}")));
    }
    match worker.terminal {
        Some(terminal) if !remote && is_here(&terminal) => Err(tmux_attach(&terminal)),
        Some(_) => stream(id, app).await,
        None => Err(Failure::new(
            "client.no_terminal",
            format!("worker {id} is {} and has no terminal yet", worker.state.name()),
        )
        .with_next("try again in a moment")),
    }
}

/// Whether this is the host, in the same boot, where the terminal is.
fn is_here(terminal: &Terminal) -> bool {
    let boot_id = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    boot_id.trim() == terminal.boot_id && Path::new(&terminal.tmux_socket).exists()
}

/// Becomes tmux; comes back only with the reason why it could not.
fn tmux_attach(terminal: &Terminal) -> Failure {
    let error = Command::new("tmux")
        .args(["-S", &terminal.tmux_socket, "attach-session", "-t", &format!("={}", terminal.tmux_session)])
        // A person inside another tmux wants this one in it, not a refusal.
        .env_remove("TMUX")
        .env_remove(secret::VARIABLE)
        .exec();
    Failure::io("starting tmux (is it installed? else use --remote)")(error)
}

/// Puts the terminal back as it was, however this ends.
#[derive(Debug)]
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// None when standard input is no terminal: bytes are passed as they come then.
    fn enter() -> Result<Option<Self>, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let doing = |error: nix::Error| Failure::io("setting up the terminal")(error.into());
        let before = termios::tcgetattr(stdin.as_fd()).map_err(doing)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).map_err(doing)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // There is nothing left to try when these fail.
        std::io::stdout().write_all(RESET).ok();
        std::io::stdout().flush().ok();
        termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before).ok();
    }
}

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Detached,
    Ended,
    Killed,
}

async fn stream(id: WorkerId, app: &App) -> Result<(), Failure> {
    note(&format!("joining worker {id}; leave it with Ctrl-]"));
    // A few keystrokes or one paste: more than that waits in the terminal.
    let (keys, typed) = mpsc::channel(16);
    let (columns, rows) = size();
    let first = v1::AttachInput { worker: id.get(), columns, rows, ..Default::default() };
    send(&keys, first).await;
    let mut shown = app.client.workers().attach(ReceiverStream::new(typed)).await?.into_inner();
    let terminal = RawTerminal::enter()?;
    let result = pump(&keys, &mut shown, app).await;
    drop(terminal);
    match result? {
        Ending::Detached => note(&format!("left worker {id}; it goes on")),
        Ending::Ended => note(&format!("the terminal of worker {id} has ended")),
        Ending::Killed => {
            return Err(Failure::new(
                "client.terminated",
                format!("this program was told to end; worker {id} goes on"),
            ));
        }
    }
    Ok(())
}

/// Carries bytes both ways until one side ends.
async fn pump(
    keys: &mpsc::Sender<v1::AttachInput>,
    shown: &mut tonic::Streaming<v1::AttachOutput>,
    app: &App,
) -> Result<Ending, Failure> {
    let listen = |kind| signal(kind).map_err(Failure::io("listening for signals"));
    let mut resized = listen(SignalKind::window_change())?;
    let mut terminated = listen(SignalKind::terminate())?;
    let mut hung_up = listen(SignalKind::hangup())?;
    let mut window = Window::default();
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 4096];
    let mut reading = true;
    loop {
        tokio::select! {
            output = shown.message() => match output? {
                Some(v1::AttachOutput { data }) => app.output.bytes(&window.pass(&data))?,
                None => return Ok(Ending::Ended),
            },
            read = stdin.read(&mut buffer), if reading => {
                let count = read.map_err(Failure::io("reading the keyboard"))?;
                let (data, detach) = until_detach(&buffer[..count]);
                if !data.is_empty() {
                    send(keys, v1::AttachInput { data: data.to_vec().into(), ..Default::default() }).await;
                }
                if detach {
                    return Ok(Ending::Detached);
                }
                reading = count > 0;
            }
            _ = resized.recv() => {
                let (columns, rows) = size();
                send(keys, v1::AttachInput { columns, rows, ..Default::default() }).await;
            }
            _ = terminated.recv() => return Ok(Ending::Killed),
            _ = hung_up.recv() => return Ok(Ending::Killed),
        }
    }
}

/// Splits what was typed at the detach key.
fn until_detach(typed: &[u8]) -> (&[u8], bool) {
    match typed.iter().position(|byte| *byte == DETACH) {
        Some(at) => (&typed[..at], true),
        None => (typed, false),
    }
}

/// The terminal's columns and rows; zeros when there is none, which say "unchanged".
fn size() -> (u32, u32) {
    terminal_size::terminal_size().map_or((0, 0), |(width, height)| (width.0.into(), height.0.into()))
}

async fn send(keys: &mpsc::Sender<v1::AttachInput>, input: v1::AttachInput) {
    // A receiver that is gone shows as the end of the output.
    keys.send(input).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_before_the_detach_key_still_counts() {
        assert_eq!(until_detach(b"ls\r"), (&b"ls\r"[..], false));
        assert_eq!(until_detach(b"ls\r\x1dx"), (&b"ls\r"[..], true));
        assert_eq!(until_detach(b"\x1d"), (&b""[..], true));
    }

    #[test]
    fn a_terminal_of_another_boot_or_without_its_socket_is_not_here() {
        let boot_id = std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        let socket = tempfile::NamedTempFile::new().unwrap();
        let here =
            Terminal { boot_id, tmux_socket: socket.path().display().to_string(), tmux_session: "w1".to_owned() };
        assert!(is_here(&here));
        assert!(!is_here(&Terminal { boot_id: "other".to_owned(), ..here.clone() }));
        assert!(!is_here(&Terminal { tmux_socket: "/nowhere/tmux.sock".to_owned(), ..here }));
    }
}
