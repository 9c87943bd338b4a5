//! A command's process that waits for its worker.
//!
//! What is the same in every worker's confinement is made in advance, in a warm session: namespaces, the processes that
//! look after them, `/proc`, `/dev`, the filter of system calls. Once its worker is known the process confines itself as
//! the plan says, and becomes the first command when it is told to. Nothing depends on it: a command without it is
//! spawned, and confined between fork and exec.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid};

use super::command::{Main, NotSpawned, command_of};
use super::plan::Plan;

use super::terminal::WorkerSide;
use crate::host::paths::WorkerDir;
use crate::sandbox::{Begun, Mechanisms, fork_here, quit};

/// What is written to a zygote, and what it answers.
const GO: &[u8] = b"go\n";
const READY: u8 = b'+';
const UNCONFINED: u8 = b'c';
const NOT_FOUND: u8 = b'n';
const NOT_RUN: u8 = b'r';

/// A process that waits. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Zygote {
    mechanisms: Mechanisms,
    pid: Pid,
    line: UnixStream,
    life: io::PipeWriter,
    /// The host's mounts; one that has come or gone since is not known to it.
    mounts: File,
}

impl Zygote {
    /// Forks this process, which may have one thread only; signals are blocked in both.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(super) fn fork(mechanisms: Mechanisms, stage: &Path, side: &WorkerSide) -> io::Result<Self> {
        let mounts = File::open("/proc/self/mountinfo")?;
        let (ours, theirs) = UnixStream::pair()?;
        let (end_of_life, life) = io::pipe()?;
        match fork_here()? {
            ForkResult::Parent { child } => Ok(Self { mechanisms, pid: child, line: ours, life, mounts }),
            ForkResult::Child => {
                drop((ours, life));
                // Whoever waits for the worker's end must not wait for this process.
                let done = side.let_go().and_then(|()| wait(mechanisms, stage, end_of_life, theirs));
                quit(i32::from(done.is_err()));
            }
        }
    }

    /// Whether it can become the first command of a plan.
    pub(super) fn suits(&self, plan: &Plan) -> bool {
        let is_plain = plan.first().is_some_and(|step| step.agent.is_none());
        let is_alike = plan.sandbox.as_ref().is_some_and(|sandbox| sandbox.mechanisms == self.mechanisms);
        is_plain && is_alike && !self.is_outdated()
    }

    /// Tells it whose it is: it confines itself.
    pub(super) fn name(&mut self, dir: &WorkerDir) -> io::Result<()> {
        self.line.write_all(format!("{}\n", dir.path().display()).as_bytes())
    }

    /// Lets it become the first command of its worker's plan; none when it cannot, and is gone with all that it had of the
    /// worker's.
    pub(super) fn go(mut self) -> Option<Result<Main, NotSpawned>> {
        let mut ready = [0];
        let is_ready = self.line.read_exact(&mut ready).is_ok() && ready == [READY];
        if is_ready && self.line.write_all(GO).is_ok() {
            return Some(self.begun());
        }
        let Self { pid, line, life, .. } = self;
        drop((line, life));
        waitpid(pid, None).ok();
        None
    }

    /// Whether the host has mounted something, or let go of it, since it was forked.
    fn is_outdated(&self) -> bool {
        let mut fds = [PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI)];
        poll(&mut fds, PollTimeout::ZERO) != Ok(0)
    }

    /// Its line ends when it has become the command, and otherwise after it has said why not.
    fn begun(mut self) -> Result<Main, NotSpawned> {
        let mut said = vec![];
        self.line.read_to_end(&mut said)?;
        let Some((kind, why)) = said.split_first() else { return Ok(Main { pid: self.pid, life: self.life }) };
        let why = String::from_utf8_lossy(why).into_owned();
        Err(match *kind {
            UNCONFINED => NotSpawned::Unconfined(why),
            NOT_FOUND => NotSpawned::Command(io::Error::new(ErrorKind::NotFound, why)),
            _ => NotSpawned::Command(io::Error::other(why)),
        })
    }
}

/// Waits for a worker, confines itself as its plan says, and becomes its first command. Without a worker it returns.
fn wait(mechanisms: Mechanisms, stage: &Path, end_of_life: io::PipeReader, mut line: UnixStream) -> io::Result<()> {
    let begun = mechanisms.begin(stage, end_of_life.as_fd()).map_err(io::Error::other)?;
    drop(end_of_life);
    line.write_all(&[READY])?;
    let mut from = BufReader::new(line.try_clone()?);
    let mut dir = String::new();
    from.read_line(&mut dir)?;
    let Some(dir) = dir.strip_suffix('\n') else { return Ok(()) };
    let ready = confine(&WorkerDir::new(dir.into()), begun);
    let mut go = vec![0; GO.len()];
    if from.read_exact(&mut go).is_err() {
        return Ok(());
    }
    let (kind, why) = match ready.map(|mut command| command.exec()) {
        Err((kind, why)) => (kind, why),
        Ok(error) => not_run(&error),
    };
    line.write_all(&[kind])?;
    line.write_all(why.as_bytes())?;
    line.shutdown(Shutdown::Both)
}

fn not_run(error: &io::Error) -> (u8, String) {
    let kind = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
    (kind, error.to_string())
}

/// Confines this process for the first step of a worker's plan; the command that it is to become.
fn confine(dir: &WorkerDir, begun: Begun) -> Result<Command, (u8, String)> {
    let broken = |error: io::Error| (UNCONFINED, error.to_string());
    let plan: Plan = fs::read(dir.plan()).and_then(|plan| Ok(serde_json::from_slice(&plan)?)).map_err(broken)?;
    let (Some(step), Some(sandbox)) = (plan.first(), &plan.sandbox) else {
        return Err((UNCONFINED, "its plan has no such step".to_owned()));
    };
    let command = command_of(&plan, step).map_err(|error| not_run(&error));
    begun.finish(sandbox, &plan.workspace).map_err(|error| (UNCONFINED, error.to_string()))?;
    let mut command = command?;
    without_mask(&mut command);
    Ok(command)
}

/// See `before_exec` of steps that are spawned.
#[expect(unsafe_code, reason = "the signal mask is the command's, and only pre_exec is there")]
fn without_mask(command: &mut Command) {
    // SAFETY: the closure makes one system call. This process is not forked between it and exec.
    unsafe {
        command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?));
    }
}
