//! The keeper: between a worker's terminal, its log and its pane.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use super::backlog::Backlog;
use super::log::Log;
use super::signals::{Signals, Wake};
use super::terminal::KeeperSide;
use crate::host::unblock::unblock;
use crate::redactor::{Redactor, Stream};

/// As much as is read before it is written on; the kernel hands over 4 KiB at once.
const CHUNK: usize = 64 << 10;

/// What the keeper holds.
pub(super) struct Keeper<'a> {
    signals: Signals,
    worker: Pid,
    /// The worker's terminal, seen from outside.
    terminal: File,
    /// The terminal is in no process's hands any more.
    closed: bool,
    /// Ends when the worker prints no more, or is gone.
    done: UnixStream,
    /// Or why it is not written, or not any more.
    log: io::Result<Log<File>>,
    /// Hides the worker's secrets from both.
    shown: Stream<'a>,
    /// The pane in which the worker is shown, unless it is gone.
    pane: Option<File>,
    /// The number of bytes that the worker has printed.
    printed: u64,
    /// What was printed and the pane has not taken yet.
    output: Backlog,
    /// What was typed and the terminal has not taken yet.
    input: VecDeque<u8>,
}

/// What came of moving bytes without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// Everything, or as much as could be taken.
    Some,
    /// The other end is closed.
    Closed,
}

/// What a worker's terminal shows of a log that cannot be written.
fn log_ends(error: &io::Error) -> String {
    format!("\r\n[sprint] the log ends here: {error}\r\n")
}

impl<'a> Keeper<'a> {
    /// # Errors
    /// Those of the system calls.
    pub(super) fn new(side: KeeperSide, log: io::Result<Log<File>>, redactor: &'a Redactor) -> io::Result<Self> {
        let KeeperSide { worker, terminal, done } = side;
        let signals = Signals::block()?;
        unblock(&terminal)?;
        let terminal = File::from(terminal);
        // Without a pane the worker runs all the same; where one goes away, it is told.
        let pane = pane().ok();
        let mut output = Backlog::default();
        if let Err(error) = &log {
            output.add(log_ends(error).as_bytes());
        }
        Ok(Self {
            signals,
            worker,
            terminal,
            closed: false,
            done,
            log,
            shown: Stream::new(redactor),
            pane,
            printed: 0,
            output,
            input: VecDeque::new(),
        })
    }

    /// Moves bytes until the worker prints no more, and says so by making `end`; then waits for the worker.
    ///
    /// # Errors
    /// Those of waiting for files and processes.
    pub(super) fn run(mut self, end: &Path) -> io::Result<ExitCode> {
        while !self.wait()? {
            self.show();
            self.type_in();
        }
        self.read_rest();
        // Without room for this file the agent goes on after a while.
        fs::write(end, self.log.as_ref().err().map(ToString::to_string).unwrap_or_default()).ok();
        drop(self.done);
        loop {
            return match waitpid(self.worker, None) {
                Err(Errno::EINTR) => continue,
                Ok(WaitStatus::Exited(_, code)) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
                Ok(_) => Ok(ExitCode::FAILURE),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Waits until bytes can be moved, and hears signals; says whether the worker is done.
    fn wait(&mut self) -> io::Result<bool> {
        let when = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let reads_terminal = when(!self.output.is_full(), PollFlags::POLLIN);
        let writes_terminal = when(!self.input.is_empty(), PollFlags::POLLOUT);
        let reads_pane = when(self.input.is_empty(), PollFlags::POLLIN);
        let writes_pane = when(!self.output.is_empty(), PollFlags::POLLOUT);
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.done.as_fd(), PollFlags::POLLIN),
        ];
        let terminal = reads_terminal | writes_terminal;
        // A terminal that is closed is ready all the time.
        if !self.closed && !terminal.is_empty() {
            fds.push(PollFd::new(self.terminal.as_fd(), terminal));
        }
        if let Some(pane) = &self.pane {
            fds.push(PollFd::new(pane.as_fd(), reads_pane | writes_pane));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let (signal, done) = (ready(&fds[0]), ready(&fds[1]));
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        let pane_gone =
            self.pane.is_some() && fds.last().and_then(PollFd::revents).is_some_and(|is| is.intersects(gone));
        drop(fds);
        if pane_gone {
            self.lose_pane();
        }
        if signal {
            self.hear()?;
        }
        Ok(done)
    }

    fn hear(&mut self) -> io::Result<()> {
        match self.signals.read()? {
            Wake::Resized => {
                if let Some(Ok(size)) = self.pane.as_ref().map(tcgetwinsize) {
                    tcsetwinsize(&self.terminal, size).ok();
                }
            }
            Wake::HangUp => self.lose_pane(),
            Wake::Terminate => {
                kill(self.worker, Signal::SIGTERM).ok();
            }
            Wake::Child | Wake::Nothing => {}
        }
        Ok(())
    }

    /// Tells the worker that its pane is gone; what it still prints goes to the log.
    fn lose_pane(&mut self) {
        self.pane = None;
        self.output.clear();
        kill(self.worker, Signal::SIGHUP).ok();
    }

    /// Moves what was printed into the log and the pane.
    fn show(&mut self) {
        if !self.output.is_full() && !self.closed {
            let mut printed = vec![];
            self.closed = pull(&self.terminal, &mut printed, CHUNK) == Moved::Closed;
            self.printed += printed.len() as u64;
            let mut printed = self.shown.pass(&printed);
            if self.closed {
                printed.extend(self.shown.end());
            }
            self.take(printed);
        }
        while let (Some(pane), false) = (&self.pane, self.output.is_empty()) {
            let next = self.output.next();
            match push(pane, next) {
                Moved::Some if next.is_empty() => {}
                Moved::Some => return,
                Moved::Closed => self.lose_pane(),
            }
        }
    }

    /// Adds to the log, and to what the pane shows.
    fn take(&mut self, mut printed: Vec<u8>) {
        // The log ends at its first error; the worker goes on.
        if let Ok(log) = &mut self.log
            && let Err(error) = log.write(&printed)
        {
            printed.extend(log_ends(&error).into_bytes());
            self.log = Err(error);
        }
        if self.pane.is_some() {
            self.output.add(&printed);
        }
    }

    /// Moves what was typed to the worker.
    fn type_in(&mut self) {
        let typed = match &self.pane {
            Some(pane) if self.input.is_empty() => {
                let mut typed = vec![];
                let moved = pull(pane, &mut typed, CHUNK);
                self.input.extend(typed);
                moved
            }
            Some(_) | None => Moved::Some,
        };
        if typed == Moved::Closed {
            self.lose_pane();
        }
        if push(&self.terminal, &mut self.input) == Moved::Closed {
            self.input.clear();
        }
    }

    /// Reads what was printed last. The worker has let go of the terminal: its end follows the last byte, unless
    /// a process that could not be killed still holds it; then what is there now is the last.
    fn read_rest(&mut self) {
        loop {
            // A pane that is too slow shows the log's end no more.
            self.output.clear();
            let before = self.printed;
            self.show();
            if self.closed || self.printed == before {
                // What has waited for more is all that comes.
                let rest = self.shown.end();
                return self.take(rest);
            }
        }
    }
}

/// The pane, with every byte passing unchanged in both directions: the worker's own terminal gives them meaning.
fn pane() -> io::Result<File> {
    let pane = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut mode = tcgetattr(&pane)?;
    cfmakeraw(&mut mode);
    tcsetattr(&pane, SetArg::TCSANOW, &mode)?;
    unblock(&pane)?;
    Ok(pane)
}

/// Reads what is there, up to `most` bytes.
fn pull(mut from: &File, into: &mut Vec<u8>, most: usize) -> Moved {
    let mut piece = [0; 4096];
    let mut left = most;
    while left > 0 {
        let room = left.min(piece.len());
        match from.read(&mut piece[..room]) {
            Ok(0) => return Moved::Closed,
            Ok(read) => {
                into.extend_from_slice(&piece[..read]);
                left -= read;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Moved::Some,
            // EIO: the other end of a terminal is closed.
            Err(_) => return Moved::Closed,
        }
    }
    Moved::Some
}

/// Writes as much as is taken at once.
fn push(mut to: &File, from: &mut VecDeque<u8>) -> Moved {
    while !from.is_empty() {
        match to.write(from.as_slices().0) {
            Ok(0) => return Moved::Closed,
            Ok(written) => drop(from.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Moved::Some,
            Err(_) => return Moved::Closed,
        }
    }
    Moved::Some
}
