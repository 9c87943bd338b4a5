//! `outpost-agent warm DATA_DIR [MECHANISMS]`: a shim that has no worker yet. It asks its agent for one, and waits, with
//! its terminal and the process of its first command made.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::run::{keep_for, run_warm};
use super::signals::Signals;
use super::step::say;
use super::terminal::{self, KeeperSide, Side, WorkerSide};
use super::zygote::Zygote;
use crate::host::paths::{DataDir, WARM_SOCKET, WorkerDir};
use crate::host::socket;
use crate::sandbox::Mechanisms;

/// Waits for a worker, and runs it. `mechanisms` are those that confine workers, as JSON.
pub(crate) fn run(data: &Path, mechanisms: Option<&str>) -> ExitCode {
    wait(data, mechanisms).unwrap_or_else(|error| {
        say(&format!("there is no worker: {error}"));
        ExitCode::FAILURE
    })
}

fn wait(data: &Path, mechanisms: Option<&str>) -> io::Result<ExitCode> {
    let mechanisms = mechanisms.map(serde_json::from_str).transpose()?;
    // Before this process splits: the agent knows it by the process that tmux has started.
    let mut agent = BufReader::new(socket::connect(data, WARM_SOCKET)?);
    let side = match terminal::split() {
        Ok(Side::Worker(side)) => {
            drop(agent);
            return work(data, mechanisms, side);
        }
        Ok(Side::Keeper(side)) => Some(side),
        Err(_) => None,
    };
    let mut line = String::new();
    agent.read_line(&mut line)?;
    let Some(dir) = line.strip_suffix('\n').map(PathBuf::from) else {
        // Its agent has ended, or has no use for it.
        return Ok(ExitCode::SUCCESS);
    };
    // What people see of a pane; the steps go to the workspace by themselves.
    std::env::set_current_dir(WorkerDir::new(dir.clone()).workspace()).ok();
    match side {
        Some(side) => keep(&line, &WorkerDir::new(dir), side),
        // The host may have a terminal by now; if not, that says so.
        None => Ok(super::run(dir)),
    }
}

/// The keeper's side: names the worker to the other one.
fn keep(line: &str, dir: &WorkerDir, side: KeeperSide) -> io::Result<ExitCode> {
    Signals::block()?;
    (&side.done).write_all(line.as_bytes())?;
    keep_for(dir, &fs::read(dir.plan())?, side)
}

/// The worker's side.
fn work(data: &Path, mechanisms: Option<Mechanisms>, side: WorkerSide) -> io::Result<ExitCode> {
    // A zygote looks after itself, and ends with this process.
    Signals::block()?;
    let stage = DataDir::new(data.to_owned()).stage();
    let zygote = mechanisms.and_then(|mechanisms| Zygote::fork(mechanisms, &stage, &side).ok());
    let Some(dir) = side.named()?.map(WorkerDir::new) else { return Ok(ExitCode::SUCCESS) };
    run_warm(&dir, side, zygote)
}
