//! The end of a terminal's output, made sure of.
//!
//! When a pane's command ends, tmux reads what the kernel shows it and closes the
//! pane; under load the kernel still holds up to 64 KiB back, and they are lost
//! (seen with tmux 3.3a: 5 of 16 MB in one of ten runs with 16 workers). So the
//! shim asks the terminal for its status before it ends: output and question keep
//! their order, so that the answer says that tmux has read all of it. The capture
//! takes the question out again.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcsetpgrp};

/// A private message that no terminal shows, then the question (DSR 5).
pub(super) const QUESTION: &[u8] = b"\x1b^sprint:end\x1b\\\x1b[5n";
/// "All is well."
const ANSWER: &[u8] = b"\x1b[0n";
/// How long tmux may take; it answers within a millisecond unless it is loaded or gone.
const LIMIT: Duration = Duration::from_secs(5);

/// Waits until tmux has read everything that was printed.
///
/// # Errors
/// The terminal is gone or does not answer: nothing more can be done for its output.
pub(super) fn drain() -> io::Result<()> {
    let stdin = io::stdin();
    // A step may have left another group in the foreground, and any mode set.
    tcsetpgrp(&stdin, getpgrp())?;
    let mut mode = tcgetattr(&stdin)?;
    cfmakeraw(&mut mode);
    tcsetattr(&stdin, SetArg::TCSANOW, &mode)?;
    let mut out = io::stdout().lock();
    out.write_all(QUESTION)?;
    out.flush()?;
    let deadline = Instant::now() + LIMIT;
    let mut answer = vec![];
    let mut piece = [0; 1024];
    while !answer.windows(ANSWER.len()).any(|window| window == ANSWER) {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        // Around the answer comes what a person types.
        match nix::unistd::read(&stdin, &mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(())
}
