//! The reports of a gate, taken from its workspace between two steps, when nothing of the gate runs any more.
//!
//! A report counts only if the gate's own run has written it. What stood in its place before the run (committed
//! to git, left by an earlier gate, or in a directory that is kept warm) is remembered by its inode, size and times;
//! if the same is there afterwards it is stale, and so is any file whose time of change lies before that of a
//! file made right before the run: a link may lead to one. Unlike the time of modification, no command can set the
//! time of change. Nothing is removed, since gates run on exactly the tree that lands.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use sprint_core::assignment::CommandResult;
use sprint_core::gates::{Gate, GateVerdict};
use sprint_gate::{MAX_REPORT, Reading};

/// The file that is made for its time.
const MARK: &str = "began";

/// What tells a file that was written from one that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What stood where a gate's reports should be, before it ran.
#[derive(Debug)]
pub(super) struct Before<'a> {
    workspace: &'a Path,
    states: Vec<Option<FileState>>,
    /// What the file system took for the time; none when it could not be asked.
    began: Option<(i64, i64)>,
}

impl<'a> Before<'a> {
    /// Looks at the reports of a gate that is about to run; `beside` is a directory on the workspace's file system.
    pub(super) fn look(gate: &Gate, workspace: &'a Path, beside: &Path) -> Self {
        let state = |path: &str| state_of(&open(workspace, path).ok()?).ok();
        let states: Vec<_> = gate.report.iter().map(|report| state(&report.path)).collect();
        let began = if states.is_empty() { None } else { time_of(&beside.join(MARK)).ok() };
        Self { workspace, states, began }
    }

    /// Judges a gate that has run.
    pub(super) fn judge(&self, gate: &Gate, result: &CommandResult) -> GateVerdict {
        let reports = gate.report.iter().zip(&self.states);
        let readings: Vec<_> = reports
            .map(|(report, before)| self.read(&report.path, *before).unwrap_or_else(|error| of(&error)))
            .collect();
        sprint_gate::judge(gate, result, &readings, &self.workspace.to_string_lossy())
    }

    fn read(&self, path: &str, before: Option<FileState>) -> io::Result<Reading> {
        let file = open(self.workspace, path)?;
        if !file.metadata()?.is_file() {
            return Ok(Reading::NotAFile);
        }
        let state = state_of(&file)?;
        if before == Some(state) || self.began.is_some_and(|began| state.changed < began) {
            return Ok(Reading::Stale);
        }
        if state.size > MAX_REPORT {
            return Ok(Reading::TooLarge);
        }
        let mut bytes = Vec::new();
        // A file may grow while it is read.
        file.take(MAX_REPORT + 1).read_to_end(&mut bytes)?;
        Ok(if bytes.len() as u64 > MAX_REPORT { Reading::TooLarge } else { Reading::Found(bytes) })
    }
}

/// Opens what a gate has made, without leaving its workspace and without waiting.
fn open(workspace: &Path, path: &str) -> io::Result<File> {
    let workspace = File::open(workspace)?;
    let how = OpenHow::new()
        // Opening a pipe would wait for its other end, and a terminal must not become ours.
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(File::from(openat2(&workspace, path, how)?))
}

/// The time as a file system has it, which need not be the host's.
fn time_of(mark: &Path) -> io::Result<(i64, i64)> {
    let changed = state_of(&File::create(mark)?)?.changed;
    std::fs::remove_file(mark)?;
    Ok(changed)
}

fn state_of(file: &File) -> io::Result<FileState> {
    let data = file.metadata()?;
    Ok(FileState {
        device: data.dev(),
        inode: data.ino(),
        size: data.len(),
        modified: (data.mtime(), data.mtime_nsec()),
        changed: (data.ctime(), data.ctime_nsec()),
    })
}

/// What it means that a report cannot be opened or read.
fn of(error: &io::Error) -> Reading {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR) => Reading::Missing,
        Some(Errno::EXDEV) => Reading::Outside,
        // A socket.
        Some(Errno::ENXIO) => Reading::NotAFile,
        _ => Reading::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
