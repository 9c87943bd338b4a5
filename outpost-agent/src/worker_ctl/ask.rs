//! A request to the worker's own socket, and its answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// Where its socket is.
pub(crate) const SOCKET: &str = "SPRINT_SOCKET";
/// How long the agent may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks the outpost; what it refuses is an error.
pub(super) fn answer(request: &Value) -> Result<Value, String> {
    let socket = std::env::var_os(SOCKET).map(PathBuf::from).ok_or_else(|| {
        format!(
            "{SOCKET} is not set: this sprintctl works within a worker only, and its runtime must keep that variable"
        )
    })?;
    let asked = ask(&socket, request)
        .map_err(|error| format!("the outpost does not answer at {}: {error}", socket.display()))?;
    match asked.get("error").and_then(Value::as_str) {
        Some(why) => Err(why.to_owned()),
        None => Ok(asked),
    }
}

fn ask(socket: &Path, request: &Value) -> std::io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
