//! Keeps the directories that a setup has filled, for the workspaces that come.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::plan::{Kept, Plan};
use super::step::say;
use crate::host::disk;
use crate::workspace::furnish::COPY;

/// Copies each of them to where the agent looks for it; one that cannot be kept is said to be so.
pub(super) fn keep(plan: &Plan) {
    for Kept { path, to } in &plan.keep {
        if let Err(error) = keep_one(&plan.workspace, path, to) {
            say(&format!("{path} is not kept: {error}"));
        }
    }
}

fn keep_one(workspace: &Path, path: &str, to: &Path) -> io::Result<()> {
    // A link in its place could lead to what the setup itself may not read.
    let mut from = workspace.to_owned();
    for part in path.split('/') {
        from.push(part);
        if !fs::symlink_metadata(&from)?.is_dir() {
            return Err(io::Error::other("the setup has not made a directory of it"));
        }
    }
    if to.is_dir() {
        return Ok(());
    }
    let half = half(to);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    // Left by another of the same number.
    disk::remove_dir(&half)?;
    let now = |()| fs::File::open(&half)?.set_modified(std::time::SystemTime::now());
    let copied = copy(&from, &half).and_then(now).and_then(|()| fs::rename(&half, to));
    if copied.is_err() {
        disk::remove_dir(&half).ok();
    }
    // Another worker may have been first.
    if to.is_dir() { Ok(()) } else { copied }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let output = Command::new("cp").args(COPY).arg(from).arg(to).env("LC_ALL", "C").stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.lines().next().unwrap_or("cp failed").to_owned()))
}

fn half(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    to.with_file_name(format!("{name}.{}", std::process::id()))
}
