//! Runs a plan: its steps in order, until one fails, and the record of how they ended.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sprint_core::gates::GateOutcome;

use super::keep::keep;
use super::keeper::Keeper;
use super::log::Log;
use super::plan::{Cause, Exit, Outline, Plan, PlanStep};
use super::reports::Before;
use super::signals::Signals;
use super::step::{Runner, say};
use super::terminal::{self, KeeperSide, Side, WorkerSide};
use super::zygote::Zygote;
use crate::host::disk;
use crate::host::paths::WorkerDir;
use crate::redactor::Redactor;
use crate::sandbox::cgroup::Group;

/// Room for the result of one step in `exit.json`, and for the verdict on a gate: 50 findings, seldom as long
/// as they may be.
const BYTES_PER_STEP: usize = 1024;
const BYTES_PER_VERDICT: usize = 32 * 1024;

/// How long a teardown may take when the worker is ended from outside.
const TEARDOWN_AT_END: Duration = Duration::from_secs(5);

/// Runs what `DIR/exec.json` says.
pub(crate) fn run(dir: PathBuf) -> ExitCode {
    match attempt(&WorkerDir::new(dir)) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("the worker cannot run: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn attempt(dir: &WorkerDir) -> io::Result<ExitCode> {
    // Held back in both processes, until each reads its own.
    Signals::block()?;
    let plan = fs::read(dir.plan())?;
    match terminal::split() {
        Ok(Side::Keeper(side)) => keep_for(dir, &plan, side),
        Ok(Side::Worker(terminal)) => work(dir, &serde_json::from_slice(&plan)?, Ok(terminal), None),
        Err(error) => {
            let plan: Plan = serde_json::from_slice(&plan)?;
            File::create(dir.log_end(plan.round)).ok();
            work(dir, &plan, Err(io::Error::other(format!("it has no terminal: {error}"))), None)
        }
    }
}

/// Runs what `DIR/exec.json` says, as the worker's side of a session that has waited for it.
///
/// # Errors
/// Those of the plan and the record.
pub(super) fn run_warm(dir: &WorkerDir, terminal: WorkerSide, zygote: Option<Zygote>) -> io::Result<ExitCode> {
    let plan: Plan = serde_json::from_slice(&fs::read(dir.plan())?)?;
    // One that is not to run must not see the worker's layers: a layer serves one view at a time.
    let mut zygote = zygote.filter(|zygote| zygote.suits(&plan));
    if zygote.as_mut().is_some_and(|zygote| zygote.name(dir).is_err()) {
        zygote = None;
    }
    work(dir, &plan, Ok(terminal), zygote)
}

/// Keeps what a worker prints.
///
/// # Errors
/// Those of the plan, and of waiting for files and processes.
pub(super) fn keep_for(dir: &WorkerDir, plan: &[u8], side: KeeperSide) -> io::Result<ExitCode> {
    let Outline { round, log_limit } = serde_json::from_slice(plan)?;
    let log = Log::open(&dir.log(), log_limit);
    let redactor = Redactor::load(&dir.secrets())?;
    Keeper::new(side, log, &redactor)?.run(&dir.log_end(round))
}

fn work(
    dir: &WorkerDir,
    plan: &Plan,
    terminal: io::Result<WorkerSide>,
    zygote: Option<Zygote>,
) -> io::Result<ExitCode> {
    let signals = Signals::block()?;
    let record = Record::claim(dir, plan)?;
    let mut exit = Exit {
        round: plan.round,
        cause: Cause::Completed,
        code: None,
        setup: None,
        steps: vec![],
        verdicts: vec![],
        disk_full: false,
        message: None,
    };
    let ran = terminal.and_then(|terminal| {
        let ran = run_steps(&signals, dir, plan, zygote, &mut exit);
        if let Err(error) = &ran {
            say(&format!("the worker cannot go on: {error}"));
        }
        // Its result counts also without the last of its output.
        terminal.close().ok();
        ran
    });
    if let Err(error) = ran {
        exit.cause = Cause::Broken;
        exit.message = Some(error.to_string());
    }
    record.finish(dir, &exit)?;
    Ok(ExitCode::SUCCESS)
}

fn run_steps(
    signals: &Signals,
    dir: &WorkerDir,
    plan: &Plan,
    zygote: Option<Zygote>,
    exit: &mut Exit,
) -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    plan.notes.iter().for_each(|note| say(note));
    let groups = Groups::make(plan)?;
    let mut runner = Runner { signals, plan, cause: Cause::Completed, ends_with_us: false, zygote };
    let ran = set_up(&mut runner, exit).and_then(|ready| if ready { run_each(&mut runner, dir, exit) } else { Ok(()) });
    if let Some(teardown) = &plan.teardown
        && let Err(error) = tear_down(&mut runner, teardown)
    {
        say(&format!("the teardown did not run: {error}"));
    }
    drop(groups);
    ran
}

/// Runs the setup; says whether the steps are to follow.
fn set_up(runner: &mut Runner<'_>, exit: &mut Exit) -> io::Result<bool> {
    let plan = runner.plan;
    let Some(setup) = &plan.setup else { return Ok(true) };
    let result = runner.run(setup)?;
    let success = result.exit_code == Some(0) && !result.timed_out;
    exit.cause = runner.cause;
    exit.disk_full |= disk::is_full(&plan.workspace);
    if success && runner.cause == Cause::Completed {
        keep(plan);
    } else if !success {
        exit.code = result.exit_code;
    }
    exit.setup = Some(result);
    Ok(success && runner.cause == Cause::Completed)
}

/// Runs the teardown. The result is known already, and stays; who ends the worker does not wait for long.
fn tear_down(runner: &mut Runner<'_>, teardown: &PlanStep) -> io::Result<()> {
    let mut teardown = teardown.clone();
    if runner.cause != Cause::Completed {
        teardown.timeout_ms = teardown.timeout_ms.min(u64::try_from(TEARDOWN_AT_END.as_millis()).unwrap_or(u64::MAX));
    }
    let result = runner.run(&teardown)?;
    if let Some(code) = result.exit_code.filter(|code| *code != 0) {
        say(&format!("the teardown exited with code {code}; nothing depends on it"));
    }
    Ok(())
}

fn run_each(runner: &mut Runner<'_>, dir: &WorkerDir, exit: &mut Exit) -> io::Result<()> {
    let plan = runner.plan;
    for step in &plan.steps {
        // What is there already is not this gate's report.
        let before = step.gate.as_ref().map(|gate| Before::look(gate, &plan.workspace, dir.path()));
        let result = runner.run(step)?;
        let mut success = !result.timed_out && result.exit_code.is_some_and(|code| step.success_codes.contains(&code));
        // Judged only when it came to its own end: the verdict on a command that was ended from outside blames it.
        if let (Some(gate), Some(before), Cause::Completed) = (&step.gate, &before, runner.cause) {
            let verdict = before.judge(gate, &result);
            if verdict.outcome != GateOutcome::Passed && result.exit_code == Some(0) {
                say(&verdict.reason);
            }
            success &= verdict.outcome == GateOutcome::Passed;
            exit.verdicts.push(verdict);
        }
        exit.code = result.exit_code;
        exit.steps.push(result);
        exit.cause = runner.cause;
        exit.disk_full |= disk::is_full(&plan.workspace);
        if !success || runner.cause != Cause::Completed {
            break;
        }
    }
    Ok(())
}

/// A worker's control groups, for as long as something may run in them.
struct Groups<'a>(&'a [Group]);

impl<'a> Groups<'a> {
    fn make(plan: &'a Plan) -> io::Result<Self> {
        let Some(sandbox) = &plan.sandbox else { return Ok(Self(&[])) };
        for group in &sandbox.cgroups {
            group.make(&sandbox.limits)?;
        }
        Ok(Self(&sandbox.cgroups))
    }
}

impl Drop for Groups<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(Group::remove);
    }
}

/// The file that becomes `exit.json`: made, locked and given its room before
/// anything runs, so that a full disk cannot keep the result from being written.
#[derive(Debug)]
struct Record {
    file: File,
    from: PathBuf,
}

impl Record {
    /// Takes the round for this process.
    ///
    /// # Errors
    /// `AlreadyExists` when another shim ran this round: a command never runs twice.
    fn claim(dir: &WorkerDir, plan: &Plan) -> io::Result<Self> {
        let from = dir.claim(plan.round);
        let file = File::options().read(true).write(true).create_new(true).open(&from)?;
        file.lock()?;
        let gates = plan.steps.iter().filter(|step| step.gate.is_some()).count();
        let room = 4096 + (plan.steps.len() + 1) * BYTES_PER_STEP + gates * BYTES_PER_VERDICT;
        disk::reserve(&file, i64::try_from(room).unwrap_or(i64::MAX))?;
        file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
        Ok(Self { file, from })
    }

    /// Not synced: after a power cut the worker is gone in any case, and a file
    /// without its content counts as no file.
    fn finish(&self, dir: &WorkerDir, exit: &Exit) -> io::Result<()> {
        let content = serde_json::to_vec(exit)?;
        self.file.write_all_at(&content, 0)?;
        self.file.set_len(content.len() as u64)?;
        fs::rename(&self.from, dir.exit())
    }
}
