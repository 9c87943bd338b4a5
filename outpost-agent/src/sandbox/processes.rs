//! A process namespace for a command: it can name no process but its own, and nothing in it outlives its shim.
//!
//! Three processes stand where one would: the one that the shim knows waits, and ends as the command does; the
//! namespace's first process takes in orphans, and takes all with it when it ends; the command is its child.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// Goes on as a command in the namespace that this process has made for its children; returns in the command only.
/// Everything in there ends when the other end of `life` is closed.
///
/// # Errors
/// Those of the system calls.
pub(super) fn enter(life: BorrowedFd<'_>) -> io::Result<()> {
    let (mut ended, tell) = io::pipe()?;
    if let ForkResult::Parent { child: _ } = fork_here()? {
        keep_only(ended.as_fd())?;
        end_as(&mut ended);
    }
    drop(ended);
    match fork_here()? {
        ForkResult::Child => Ok(()),
        ForkResult::Parent { child } => {
            take_in(child, life, tell);
            // All that is left in here ends with this process.
            quit(0);
        }
    }
}

/// Forks this process, which must have one thread only: the shim, or a child of it.
///
/// # Errors
/// That of the system call.
#[expect(unsafe_code, reason = "no crate makes fork safe")]
pub(crate) fn fork_here() -> io::Result<ForkResult> {
    // SAFETY: the shim has one thread, and no child of it starts another before it becomes a command.
    Ok(unsafe { fork() }?)
}

/// Ends without what others registered for the end of the program that this process is a copy of.
#[expect(unsafe_code, reason = "no crate wraps _exit")]
pub(crate) fn quit(code: i32) -> ! {
    // SAFETY: the call takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Ends as the command in the namespace does.
fn end_as(ended: &mut io::PipeReader) -> ! {
    // Who looks for what a worker waits for is not to find this.
    while poll(&mut [PollFd::new(ended.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) == Err(Errno::EINTR) {}
    let mut said = [0; 8];
    if ended.read_exact(&mut said).is_err() {
        // The first process was killed, and all with it.
        end_by(Signal::SIGKILL);
    }
    let [kind, value] = [&said[..4], &said[4..]].map(|half| i32::from_ne_bytes(half.try_into().unwrap_or_default()));
    match Signal::try_from(value) {
        Ok(signal) if kind == 1 => end_by(signal),
        Ok(_) | Err(_) => quit(value),
    }
}

fn end_by(signal: Signal) -> ! {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).ok();
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    set_action(signal, &default);
    SigSet::empty().thread_set_mask().ok();
    raise(signal).ok();
    quit(128 + signal as i32)
}

#[expect(unsafe_code, reason = "no crate makes handlers safe")]
fn set_action(signal: Signal, action: &SigAction) {
    // SAFETY: the handlers used here are the default one and one that does nothing.
    unsafe { sigaction(signal, action) }.ok();
}

extern "C" fn nothing(_: i32) {}

/// Collects what ends in the namespace, until nothing is left in it or the shim is gone.
fn take_in(command: Pid, life: BorrowedFd<'_>, mut tell: io::PipeWriter) {
    if keep_only_two(tell.as_fd(), life).is_err() {
        return;
    }
    // Held back but while it waits, so that no end is missed.
    set_action(Signal::SIGCHLD, &SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty()));
    SigSet::all().thread_set_mask().ok();
    let mut open = Some(&mut tell);
    loop {
        loop {
            let (pid, said) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, [0, code]),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, [1, signal as i32]),
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            if pid == command
                && let Some(tell) = open.take()
            {
                let said: Vec<u8> = said.iter().flat_map(|half| half.to_ne_bytes()).collect();
                if tell.write_all(&said).is_err() {
                    return;
                }
            }
        }
        let mut fds = [PollFd::new(life, PollFlags::POLLIN)];
        let all_but = SigSet::empty();
        if ppoll(&mut fds, None, Some(all_but)) != Err(Errno::EINTR) {
            kill(Pid::from_raw(-1), Signal::SIGKILL).ok();
            return;
        }
    }
}

/// Closes every file but one: nobody waits for an end of a pipe that is held here by chance.
fn keep_only(file: BorrowedFd<'_>) -> io::Result<()> {
    close_but(&mut [file.as_raw_fd()])
}

fn keep_only_two(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<()> {
    close_but(&mut [one.as_raw_fd(), other.as_raw_fd()])
}

#[expect(unsafe_code, reason = "no crate at hand wraps close_range")]
fn close_but(kept: &mut [RawFd]) -> io::Result<()> {
    kept.sort_unstable();
    let mut from = 0;
    let ends = kept.iter().map(|fd| (fd.cast_unsigned(), fd.cast_unsigned() + 1)).chain([(u32::MAX, 0)]);
    for (end, next) in ends {
        let last = if end == u32::MAX { end } else { end.saturating_sub(1) };
        if from <= last && (end != 0) {
            // SAFETY: the call takes three numbers and no memory. This process uses no other file from here on, and
            // ends without dropping any.
            if unsafe { libc::close_range(from, last, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        from = next;
    }
    Ok(())
}
