//! A worker's shim as the agent sees it: through the claim file that it holds locked.

use std::fs::{self, File};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::decide::Shim;
use crate::host::paths::WorkerDir;
use crate::shim::plan::Exit;

/// More than a worker ever has.
const ROUNDS: u32 = 8;

/// Looks at the claim of a round.
pub(crate) fn look(dir: &WorkerDir, round: u32) -> Shim {
    let Ok(claim) = File::open(dir.claim(round)) else { return Shim::NotBegun };
    // Taken for a moment only; the shim waits for its lock if it comes to that.
    match claim.try_lock_shared() {
        Ok(()) => Shim::Gone,
        Err(_) => Shim::Alive,
    }
}

/// How a round ended, if it has: a file of another round or without sense is none.
pub(crate) fn exit(dir: &WorkerDir, round: u32) -> Option<Exit> {
    let content = fs::read(dir.exit()).ok()?;
    serde_json::from_slice::<Exit>(&content).ok().filter(|exit| exit.round == round)
}

/// Sends a signal to a round's shim, if it is alive.
pub(crate) fn signal(dir: &WorkerDir, round: u32, signal: Signal) {
    if let Some(pid) = pid(dir, round) {
        kill(pid, signal).ok();
    }
}

/// The shim of whichever round runs.
pub(crate) fn living(dir: &WorkerDir) -> Option<Pid> {
    // Each round is sent back by a report, of which there are few.
    (1..=ROUNDS).rev().find_map(|round| pid(dir, round))
}

fn pid(dir: &WorkerDir, round: u32) -> Option<Pid> {
    if look(dir, round) != Shim::Alive {
        return None;
    }
    // The file has room reserved behind the number.
    let content = fs::read(dir.claim(round)).ok()?;
    let line = content.split(|byte| *byte == b'\n').next()?;
    let pid = std::str::from_utf8(line).ok()?.parse::<i32>().ok().filter(|pid| *pid > 1)?;
    Some(Pid::from_raw(pid))
}
