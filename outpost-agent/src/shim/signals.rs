//! The signals of the shim, read as messages instead of interrupting it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The event that woke the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A child ended; which one, `waitpid` tells.
    Child,
    /// The worker is requested to end.
    Terminate,
    /// The terminal is gone.
    HangUp,
    /// The terminal has another size.
    Resized,
    /// The time is up, or a signal came that is the step's business, not the shim's.
    Nothing,
}

/// The blocked signals of this process.
///
/// The worker's process shares its group with the step, so that an attached person's
/// Ctrl-C reaches the step; the process itself must outlive it.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks the signals in the shim; each step unblocks them for its command.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGWINCH,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGTSTP,
            Signal::SIGTTOU,
            Signal::SIGTTIN,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self { fd: SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)? })
    }

    /// Waits for the next signal, at most until `deadline`.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn wait(&self, deadline: Instant) -> io::Result<Wake> {
        self.wait_or(deadline, &[], &[])
    }

    /// The same, or until one of these files can be read or written.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn wait_or(
        &self,
        deadline: Instant,
        reads: &[BorrowedFd<'_>],
        writes: &[BorrowedFd<'_>],
    ) -> io::Result<Wake> {
        let left = deadline.saturating_duration_since(Instant::now());
        // One more millisecond: poll counts whole ones, and must not spin on the last.
        let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX - 1).saturating_add(1);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let reads = reads.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
        let writes = writes.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLOUT));
        let own = PollFd::new(self.fd.as_fd(), PollFlags::POLLIN);
        let mut fds: Vec<_> = std::iter::once(own).chain(reads).chain(writes).collect();
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Wake::Nothing),
            Err(error) => return Err(error.into()),
        }
        self.read()
    }

    /// What to wait for together with other files.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Takes the next signal, if there is one.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn read(&self) -> io::Result<Wake> {
        let Some(info) = self.fd.read_signal()? else { return Ok(Wake::Nothing) };
        let is = |signal: Signal| i64::from(info.ssi_signo) == i64::from(signal as i32);
        Ok(if is(Signal::SIGCHLD) {
            Wake::Child
        } else if is(Signal::SIGTERM) {
            Wake::Terminate
        } else if is(Signal::SIGHUP) {
            Wake::HangUp
        } else if is(Signal::SIGWINCH) {
            Wake::Resized
        } else {
            Wake::Nothing
        })
    }
}
