//! The worker's own terminal, in front of its pane.
//!
//! The pane's process splits in two. The *worker* leads a session on a terminal of its own, runs the steps
//! there, and records how they ended. The *keeper* holds the other end: it appends what is printed to the log,
//! shows it in the pane, and passes on what is typed. So the log is whole whatever tmux does, a step's last
//! words after its pane was closed included, and costs no further program.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::pty::{ForkptyResult, Winsize, forkpty};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use rustix::termios::tcgetwinsize;

/// How long the keeper may take to read the last output; it takes a millisecond unless the host is loaded.
const LIMIT: Duration = Duration::from_secs(5);
/// The size of a terminal whose pane does not say its own.
const DEFAULT_SIZE: Winsize = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

/// Which of the two processes this is.
pub(super) enum Side {
    Worker(WorkerSide),
    Keeper(KeeperSide),
}

/// What the keeper has of the worker.
pub(super) struct KeeperSide {
    pub(super) worker: Pid,
    /// The worker's terminal, seen from outside.
    pub(super) terminal: OwnedFd,
    /// Ends when the worker prints no more, or is gone.
    pub(super) done: UnixStream,
}

/// The worker's way to tell its keeper that no more output comes.
pub(super) struct WorkerSide {
    done: UnixStream,
}

/// Opens a terminal like the pane's and splits this process, which may have one thread only.
///
/// # Errors
/// Those of the system calls, such as when the host has no further terminal; then this is still one process.
pub(super) fn split() -> io::Result<Side> {
    let (ours, theirs) = UnixStream::pair()?;
    let pane = io::stdin();
    let size = tcgetwinsize(&pane).map_or(DEFAULT_SIZE, |size| Winsize {
        ws_row: size.ws_row,
        ws_col: size.ws_col,
        ws_xpixel: size.ws_xpixel,
        ws_ypixel: size.ws_ypixel,
    });
    // Without a pane, as after a restart of tmux, the kernel's own mode is used.
    let mode = tcgetattr(&pane).ok();
    Ok(match fork(size, mode.as_ref())? {
        ForkptyResult::Child => Side::Worker(WorkerSide { done: theirs }),
        ForkptyResult::Parent { child, master } => {
            Side::Keeper(KeeperSide { worker: child, terminal: master, done: ours })
        }
    })
}

#[expect(unsafe_code, reason = "a process is split without a further program, and only fork is there")]
fn fork(size: Winsize, mode: Option<&Termios>) -> io::Result<ForkptyResult> {
    // SAFETY: in a process with several threads the child may call async-signal-safe functions only. The shim
    // has one thread.
    Ok(unsafe { forkpty(Some(&size), mode) }?)
}

impl WorkerSide {
    /// The line by which its keeper names the worker's directory; none when there comes none.
    ///
    /// # Errors
    /// Those of the socket.
    pub(super) fn named(&self) -> io::Result<Option<PathBuf>> {
        let mut line = String::new();
        // The keeper writes nothing more.
        BufReader::new(&self.done).read_line(&mut line)?;
        Ok(line.strip_suffix('\n').map(PathBuf::from))
    }

    /// Closes what only the worker's own process may hold, in a copy of it.
    ///
    /// # Errors
    /// Those of the system call.
    #[expect(unsafe_code, reason = "this copy of the value is never used or dropped")]
    pub(super) fn let_go(&self) -> io::Result<()> {
        // SAFETY: the process that calls this becomes another program or ends, without a use of `self`.
        let done = unsafe { libc::close(self.done.as_raw_fd()) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Lets go of the terminal, and waits until all that was printed is in the log.
    ///
    /// The session keeps its leader meanwhile: the kernel may discard unread output when a leader ends.
    ///
    /// # Errors
    /// The keeper is gone or too slow: nothing more can be done for the output.
    pub(super) fn close(mut self) -> io::Result<()> {
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        nix::unistd::dup2_stdin(&nothing)?;
        nix::unistd::dup2_stdout(&nothing)?;
        nix::unistd::dup2_stderr(&nothing)?;
        self.done.shutdown(Shutdown::Write)?;
        self.done.set_read_timeout(Some(LIMIT))?;
        self.done.read_to_end(&mut vec![]).map(drop)
    }
}
