//! `outpost-agent warm DATA_DIR`: a shim that has no worker yet. It asks its agent for one, and waits.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::step::say;
use crate::host::paths::{WARM_SOCKET, WorkerDir};

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
    BufReader::new(connect(data)?).read_line(&mut line)?;
    Ok(line.strip_suffix('\n').map(PathBuf::from))
}

/// The path may be longer than a socket's name can be, so that it is named through the directory's descriptor.
fn connect(data: &Path) -> io::Result<UnixStream> {
    let data = File::open(data)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{WARM_SOCKET}", data.as_raw_fd()))
}
