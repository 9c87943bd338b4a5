//! One step: a command is run, waited for, and ended with everything it started.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use sprint_core::assignment::CommandResult;
use sprint_process::AND_WAS_ENDED;

use super::channel::Conversation;
use super::command::{Main, NotSpawned, command_of};
use super::plan::{Cause, Plan, PlanStep};
use super::processes::{descendants, signal_descendants};
use super::signals::{Signals, Wake};
use super::waiting::{self, Opening};
use super::zygote::Zygote;
use crate::sandbox::Limits;
use crate::sandbox::cgroup::Group;

/// How long a command that must end may take to do so by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long what a command left behind may take.
const GRACE_LEFT_BEHIND: Duration = Duration::from_millis(500);
/// How long the kernel may take to end what was killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// After how long it is first looked how many processes a command has, and after how long it is limited
/// in any case; doubling in between.
const FIRST_LOOK: Duration = Duration::from_millis(40);
const LAST_LOOK: Duration = Duration::from_millis(2_560);
/// The number of new processes on the host at which a command is limited at once: it may be forking without end.
const MANY: usize = 2_000;
/// The longest pause between two looks at a program that works for the agent.
const HELPER_LOOK: Duration = Duration::from_millis(500);
/// For how long such a program may wait for somebody to open the other end of a pipe: a worker may have put one in the
/// place of a file.
const PIPE_LIMIT: Duration = Duration::from_secs(5);
/// The same where the kernel does not say whether it is a pipe.
const OPEN_LIMIT: Duration = Duration::from_mins(1);
/// The pause between two listings of processes that fork faster than they are killed.
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// The exit codes that shells use for a command that cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUNNABLE: i32 = 126;

/// How the main process of a step ended.
#[derive(Debug, Clone, Copy, Default)]
struct Ending {
    exit_code: Option<i32>,
    signal: Option<i32>,
}

/// What a command's process holds until it becomes the command.
struct Pipes {
    /// Takes what keeps it from being confined.
    tell: io::PipeWriter,
    /// Closed at the other end when nobody looks after the command any more.
    life: io::PipeReader,
}

/// Runs steps, one at a time.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    pub(super) signals: &'a Signals,
    pub(super) plan: &'a Plan,
    /// Why no further step is to run.
    pub(super) cause: Cause,
    /// Whether its commands end at once when this process is killed: nobody would look after them.
    pub(super) ends_with_us: bool,
    /// The process that has waited to become the first command.
    pub(super) zygote: Option<Zygote>,
}

impl Runner<'_> {
    /// Runs a step to its end; afterwards no process that it started is left.
    ///
    /// # Errors
    /// Those of waiting for signals and children.
    pub(super) fn run(&mut self, step: &PlanStep) -> io::Result<CommandResult> {
        let began = Instant::now();
        let result = |ending: Ending, timed_out: bool| CommandResult {
            name: step.name.clone(),
            exit_code: ending.exit_code,
            signal: ending.signal,
            timed_out,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let mut conversation = None;
        let zygote = self.zygote.take().filter(|_| self.plan.first() == Some(step));
        let started = zygote.and_then(Zygote::go);
        let started = started.unwrap_or_else(|| self.spawn(step, &mut conversation));
        let Main { pid: main, life: _life } = match started {
            Ok(main) => main,
            Err(NotSpawned::Unconfined(why)) => {
                return Err(io::Error::other(format!("its command could not be confined and did not run: {why}")));
            }
            Err(NotSpawned::Command(error)) => {
                let program = step.argv.first().map_or("", String::as_str);
                say(&format!("cannot run {program:?}: {error}"));
                let exit_code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE };
                return Ok(result(Ending { exit_code: Some(exit_code), signal: None }, false));
            }
        };
        let groups: Vec<&Group> = self.plan.sandbox.iter().flat_map(|sandbox| &sandbox.cgroups).collect();
        // When to check next whether it is time to move it into its groups, or to end it.
        let sandbox = self.plan.sandbox.as_ref();
        let helper = sandbox.filter(|_| self.ends_with_us).map(|sandbox| Helper::new(main, &sandbox.limits));
        let mut look = (!groups.is_empty() || helper.is_some()).then_some(FIRST_LOOK);
        let mut helper = helper;
        let before = tasks();
        // A timeout beyond a century is none.
        let deadline =
            began.checked_add(Duration::from_millis(step.timeout_ms)).unwrap_or(began + Duration::from_hours(876_000));
        let mut ending = None;
        let mut timed_out = false;
        let mut grace = GRACE_LEFT_BEHIND;
        loop {
            if !reap(main, &mut ending)? || ending.is_some() {
                break;
            }
            if Instant::now() >= deadline {
                let limit = Duration::from_secs(step.timeout_ms.div_ceil(1000));
                say(&format!("command {:?} timed out after {}", step.name, humantime::format_duration(limit)));
                say_what_is_waited_for();
                timed_out = true;
                grace = GRACE;
                break;
            }
            if let Some(after) = look.filter(|after| began.elapsed() >= *after) {
                match &mut helper {
                    Some(helper) => match helper.look() {
                        Some(why) => {
                            say(&why);
                            grace = Duration::ZERO;
                            break;
                        }
                        None => look = Some(after + after.min(HELPER_LOOK)),
                    },
                    None => look = limit(main, &groups, after, before),
                }
            }
            if let Some(conversation) = &mut conversation {
                conversation.turn();
            }
            let ends_at = conversation.as_ref().and_then(Conversation::deadline);
            if ends_at.is_some_and(|at| Instant::now() >= at) {
                grace = GRACE;
                break;
            }
            let next = look.map_or(deadline, |after| deadline.min(began + after));
            let wakes = [ends_at, conversation.as_ref().and_then(Conversation::wakes_at)];
            let next = wakes.into_iter().flatten().fold(next, Instant::min);
            let (reads, writes) = conversation.as_ref().map(Conversation::waits).unwrap_or_default();
            match self.signals.wait_or(next, &reads, &writes)? {
                Wake::Child | Wake::Resized | Wake::Nothing => {}
                wake @ (Wake::Terminate | Wake::HangUp) => {
                    if wake == Wake::Terminate {
                        say_what_is_waited_for();
                    }
                    self.note(wake);
                    grace = GRACE;
                    break;
                }
            }
        }
        self.end_all(main, &mut ending, grace)?;
        // An agent that has come to a good end is done, however its process ends afterwards.
        let exit_code = ending.and_then(|ending: Ending| ending.exit_code);
        let is_well = conversation.is_some_and(|conversation| conversation.end(exit_code));
        if is_well && !timed_out && self.cause == Cause::Completed {
            ending = Some(Ending { exit_code: Some(0), signal: None });
        }
        Ok(result(ending.unwrap_or_default(), timed_out))
    }

    fn spawn(&self, step: &PlanStep, conversation: &mut Option<Conversation>) -> Result<Main, NotSpawned> {
        let mut command = command_of(self.plan, step)?;
        let (mut said, tell) = io::pipe()?;
        let (life, ours) = io::pipe()?;
        before_exec(&mut command, self.plan, self.ends_with_us, Pipes { tell, life });
        let spawned = command.spawn();
        // Its copies of the pipe's end go with it.
        drop(command);
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let mut why = String::new();
                said.read_to_string(&mut why)?;
                return Err(if why.is_empty() { error.into() } else { NotSpawned::Unconfined(why) });
            }
        };
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        if let Some(agent) = &step.agent {
            // Without it the agent reads an end, and ends.
            match Conversation::begin(agent, self.plan.secrets.as_deref(), &mut child) {
                Ok(begun) => *conversation = begun,
                Err(error) => say(&format!("the agent cannot be spoken with: {error}")),
            }
        }
        Ok(Main { pid, life: ours })
    }

    fn note(&mut self, wake: Wake) {
        match wake {
            Wake::Terminate => self.cause = Cause::Terminated,
            // A hang-up that follows a SIGTERM is part of the same end.
            Wake::HangUp if self.cause == Cause::Completed => self.cause = Cause::HungUp,
            Wake::HangUp | Wake::Child | Wake::Resized | Wake::Nothing => {}
        }
    }

    /// Ends every process below the shim: first by asking, after `grace` by force.
    ///
    /// As a subreaper the shim is the parent of every orphan below it, so that
    /// "no child is left" means "nothing is left", daemons included.
    fn end_all(&mut self, main: Pid, ending: &mut Option<Ending>, grace: Duration) -> io::Result<()> {
        if !reap(main, ending)? {
            return Ok(());
        }
        signal_descendants(Pid::this(), Signal::SIGTERM);
        let force = Instant::now() + grace;
        let give_up = force + KILL_LIMIT;
        while reap(main, ending)? {
            let now = Instant::now();
            if now >= give_up {
                say("some processes of this worker could not be ended");
                return Ok(());
            }
            let next = if now < force {
                force
            } else {
                signal_descendants(Pid::this(), Signal::SIGKILL);
                now + KILL_AGAIN
            };
            let wake = self.signals.wait(next)?;
            self.note(wake);
        }
        Ok(())
    }
}

/// A program that works for the agent, in a worker's confinement: what the worker has prepared for it is not to take more
/// than a worker may.
struct Helper<'a> {
    main: Pid,
    limits: &'a Limits,
    /// Since when the same process waits for the other end of a pipe.
    waits: Option<(Pid, Instant)>,
}

impl<'a> Helper<'a> {
    const fn new(main: Pid, limits: &'a Limits) -> Self {
        Self { main, limits, waits: None }
    }

    /// Why it is to end, if it is.
    fn look(&mut self) -> Option<String> {
        let all = descendants(self.main);
        if all.len() as u64 > self.limits.processes {
            return Some(format!("it has started more than {} processes, {AND_WAS_ENDED}", self.limits.processes));
        }
        let mut waiting = all.into_iter().chain([self.main]).filter_map(|pid| Some((pid, waiting::opening(pid)?)));
        let known = self.waits.take();
        let (pid, how) = waiting.next()?;
        let (_, since) = *self.waits.insert(known.filter(|(known, _)| *known == pid).unwrap_or((pid, Instant::now())));
        let (limit, what) = match how {
            Opening::Pipe => (PIPE_LIMIT, "a pipe that nobody opens"),
            Opening::Unknown => (OPEN_LIMIT, "a file that does not open"),
        };
        (since.elapsed() >= limit).then(|| format!("it waited for {what}, {AND_WAS_ENDED}"))
    }
}

/// Moves a command into its groups once it has run for a while, or the host's processes become many;
/// answers when to look again.
///
/// A move makes every fork on the host wait for some 10 ms. Commands that are over at once never need
/// one, and a burst of starts is not held up by it.
fn limit(main: Pid, groups: &[&Group], after: Duration, before: usize) -> Option<Duration> {
    // Counting a command's own processes takes a look at all of the host's, and costs far more.
    if after < LAST_LOOK && tasks() < before + MANY {
        return Some((after * 2).min(LAST_LOOK));
    }
    for group in groups {
        // One that has ended already needs no limits.
        if let Err(error) = group.take(main)
            && error.raw_os_error() != Some(Errno::ESRCH as i32)
        {
            say(&format!("its limits cannot be set: {error}"));
        }
    }
    None
}

/// How many processes and threads the host has.
fn tasks() -> usize {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all = text.split(['/', ' ']).nth(4);
    all.and_then(|all| all.parse().ok()).unwrap_or(0)
}

/// Collects every child that has ended; says whether any is left.
fn reap(main: Pid, ending: &mut Option<Ending>) -> io::Result<bool> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => {
                *ending = Some(Ending { exit_code: Some(code), signal: None });
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                *ending = Some(Ending { exit_code: None, signal: Some(signal as i32) });
            }
            Ok(WaitStatus::StillAlive) => return Ok(true),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// For those who wonder why it did not end.
fn say_what_is_waited_for() {
    if let Some(what) = waiting::below(Pid::this()) {
        say(&format!("when it was ended, {what}"));
    }
}

/// Writes a line of Sprint's own into the terminal; it may be gone.
pub(super) fn say(text: &str) {
    writeln!(io::stderr(), "[sprint] {text}").ok();
}

/// Confines the command, and gives it an empty signal mask. Rust lets a child inherit the mask,
/// and one that inherits the shim's would neither hear Ctrl-C nor a request to end.
///
/// What keeps it from being confined is written to `tell`: an error keeps only its number.
#[expect(unsafe_code, reason = "a process is confined between fork and exec, and only pre_exec is there")]
fn before_exec(command: &mut Command, plan: &Plan, ends_with_us: bool, pipes: Pipes) {
    use std::os::unix::process::CommandExt as _;
    let (sandbox, workspace) = (plan.sandbox.clone(), plan.workspace.clone());
    let Pipes { mut tell, life } = pipes;
    let prepare = move || {
        if let Some(sandbox) = &sandbox
            && let Err(error) = sandbox.confine(&workspace, life.as_fd())
        {
            tell.write_all(error.to_string().as_bytes())?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if ends_with_us {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        }
        Ok(SigSet::empty().thread_set_mask()?)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed because another
    // thread may have held a lock, such as the allocator's, at the fork. The shim has one thread.
    unsafe {
        command.pre_exec(prepare);
    }
}
