//! `outpost-agent within DIR MORE COMMAND…`: runs a command as DIR's worker would, with one
//! more directory to write to.
//!
//! For the agent, where a program must look at what a worker has made: whatever
//! the worker has prepared for it happens inside the worker's own confinement.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use sprint_core::bounds::HELPER_MEMORY;
use sprint_core::runtime::PromptDelivery;

use super::plan::{Cause, Plan, PlanStep};
use super::signals::Signals;
use super::step::{Runner, say};
use crate::host::paths::WorkerDir;
use crate::sandbox::{Access, Grant};

/// The command could not be run at all; git has no such code.
const NOT_RUN: u8 = 125;

/// Runs a command with this process's environment, input and output; its code becomes ours.
pub(crate) fn run(dir: PathBuf, more: PathBuf, command: Vec<OsString>) -> ExitCode {
    match attempt(&WorkerDir::new(dir), more, command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(NOT_RUN)
        }
    }
}

fn attempt(dir: &WorkerDir, more: PathBuf, command: Vec<OsString>) -> io::Result<u8> {
    let signals = Signals::block()?;
    let mut plan: Plan = serde_json::from_slice(&fs::read(dir.plan())?)?;
    // For a filter of the agent's git, which is none of a worker's.
    if let Some(cwd) = std::env::current_dir().ok().filter(|cwd| cwd.starts_with(&more)) {
        plan.workspace = cwd;
    }
    if let Some(sandbox) = &mut plan.sandbox {
        // Several of these may run at once, and a layer serves one view at a time.
        for grant in &mut sandbox.grants {
            if matches!(grant.access, Access::Layered { .. }) {
                grant.access = Access::Read;
            }
        }
        // Making a group takes longer than the command.
        sandbox.cgroups.clear();
        sandbox.grants.push(Grant { path: more, access: Access::Write });
        let most = sandbox.limits.memory.unwrap_or(u64::MAX).min(HELPER_MEMORY);
        sandbox.limits.memory = Some(most);
    }
    let text = |text: OsString| text.into_string().map_err(|_| io::Error::other("an argument is not UTF-8"));
    let variables = std::env::vars_os().map(|(key, value)| Ok((text(key)?, text(value)?)));
    plan.env = variables.collect::<io::Result<_>>()?;
    let step = PlanStep {
        name: "within".to_owned(),
        argv: command.into_iter().map(text).collect::<io::Result<_>>()?,
        env: std::collections::BTreeMap::new(),
        prompt: PromptDelivery::File,
        success_codes: vec![0],
        timeout_ms: u64::MAX,
        gate: None,
        unattended: false,
        agent: None,
    };
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut runner =
        Runner { signals: &signals, plan: &plan, cause: Cause::Completed, ends_with_us: true, zygote: None };
    let result = runner.run(&step)?;
    let killed = |signal: i32| u8::try_from(128 + signal).unwrap_or(NOT_RUN);
    Ok(match (result.exit_code, result.signal) {
        (Some(code), _) => u8::try_from(code).unwrap_or(NOT_RUN),
        (None, Some(signal)) => killed(signal),
        (None, None) => NOT_RUN,
    })
}
