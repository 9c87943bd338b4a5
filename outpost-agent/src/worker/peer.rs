//! The caller at a worker's socket: only descendants of the worker's shim are answered.

use std::io;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use tokio::net::UnixStream;

use super::shim_process;
use crate::host::paths::WorkerDir;
use crate::shim::processes::descends;

/// Whether the other end belongs to the worker of `dir`; with its process for the log.
///
/// # Errors
/// Those of asking the kernel.
pub(crate) fn belongs(stream: &UnixStream, dir: &WorkerDir) -> io::Result<(bool, Pid)> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials)?;
    let pid = Pid::from_raw(credentials.pid());
    // From Linux 6.5 on: the process itself, whatever becomes of its number.
    let process = getsockopt(stream, sockopt::PeerPidfd).ok();
    let belongs = shim_process::living(dir).into_iter().any(|shim| descends(pid, shim));
    // The check was of this process if it has not ended since.
    let is_the_same = process.is_none_or(lives);
    Ok((belongs && is_the_same, pid))
}

fn lives(process: impl AsFd) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
}
