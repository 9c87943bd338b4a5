//! The capture, `outpost-agent capture LOG LIMIT END`: tmux pipes a pane's output into it.
//!
//! It appends to the log up to the limit, and makes the file END when no more
//! will come, so that the agent knows when a log is whole.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// As much as tmux hands over at once.
const CHUNK: usize = 64 << 10;

/// Appends standard input to `log` until its end, or until `limit` bytes are there.
pub(crate) fn run(log: &Path, limit: u64, end: &Path) -> ExitCode {
    let copied = append(log, limit);
    // Without room for this file the agent goes on after a while.
    let ended = File::create(end);
    if copied.is_ok() && ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn append(log: &Path, limit: u64) -> io::Result<()> {
    let mut log = File::options().append(true).create(true).open(log)?;
    let mut size = log.metadata()?.len();
    let mut input = io::stdin().lock();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match input.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let room = usize::try_from(limit.saturating_sub(size)).unwrap_or(usize::MAX);
        log.write_all(&chunk[..read.min(room)])?;
        size += read.min(room) as u64;
        if read > room {
            // Sent back, a worker comes here again; the log says it once.
            if size == limit {
                write!(log, "\r\n[sprint] the log's limit of {limit} bytes is reached: what follows is not kept\r\n")?;
            }
            return Ok(());
        }
    }
}
