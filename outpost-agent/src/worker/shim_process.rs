//! A worker's shim as the agent sees it: through the claim file that it holds locked.

use std::fs::{self, File};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::life::Shim;
use crate::paths::WorkerDir;
use crate::shim::plan::Exit;

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
    if look(dir, round) != Shim::Alive {
        return;
    }
    // The file has room reserved behind the number.
    let content = fs::read(dir.claim(round)).unwrap_or_default();
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let pid = std::str::from_utf8(line).ok().and_then(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 1);
    if let Some(pid) = pid {
        kill(Pid::from_raw(pid), signal).ok();
    }
}
