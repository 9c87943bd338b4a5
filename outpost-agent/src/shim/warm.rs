//! `outpost-agent warm DATA_DIR`: a shim that has no worker yet. It asks its agent for one, and waits.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::step::say;
use crate::host::paths::{WARM_SOCKET, WorkerDir};
use crate::host::socket;

/// Waits for a worker, and runs it.
pub(crate) fn run(data: &Path) -> ExitCode {
    match wait(data) {
        Ok(Some(dir)) => {
            // What people see of a pane; the steps go to the workspace by themselves.
            std::env::set_current_dir(WorkerDir::new(dir.clone()).workspace()).ok();
            super::run(dir)
        }
        // Its agent has ended, or has no use for it.
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("the agent cannot be asked for a worker: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The directory of the worker that the agent names; none when the connection ends before.
fn wait(data: &Path) -> io::Result<Option<PathBuf>> {
    let mut line = String::new();
    BufReader::new(socket::connect(data, WARM_SOCKET)?).read_line(&mut line)?;
    Ok(line.strip_suffix('\n').map(PathBuf::from))
}
