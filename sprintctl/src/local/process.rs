//! Processes in the background, known by their number and start time.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::Failure;
use crate::local::place::Running;
use crate::local::program::Program;

/// How long a daemon may take to end.
const LIMIT: Duration = Duration::from_mins(1);

/// Starts it away from this terminal, with its log in a file.
pub(super) fn start(program: &Program, log: &Path) -> Result<Running, Failure> {
    let what = format!("starting {}", program.path.display());
    let open = || File::options().create(true).append(true).open(log);
    let (out, err) = open().and_then(|file| Ok((file.try_clone()?, file))).map_err(Failure::io(what.clone()))?;
    let mut command = Command::new(&program.path);
    command.args(&program.args).envs(program.secret.iter().map(|(key, value)| (key, value)));
    let child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .current_dir("/")
        // What the terminal sends to its own group does not reach it.
        .process_group(0)
        .spawn()
        .map_err(Failure::io(what))?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    Ok(Running::Background { pid, started: start_time(pid).unwrap_or_default() })
}

pub(super) fn lives(pid: i32, started: u64) -> bool {
    start_time(pid) == Some(started) && !is_zombie(pid)
}

/// Ends it, and waits until it is gone.
pub(super) fn stop(pid: i32, started: u64) -> Result<(), Failure> {
    if !lives(pid, started) {
        return Ok(());
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM)
        .map_err(|error| Failure::new("client.local", format!("process {pid} cannot be ended: {error}")))?;
    let deadline = Instant::now() + LIMIT;
    while lives(pid, started) {
        if Instant::now() > deadline {
            let why = format!("process {pid} has not ended within {} s", LIMIT.as_secs());
            return Err(Failure::new("client.local", why).with_next("see its log, and end it by hand"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The fields of `/proc/PID/stat` after the program's name, which may hold anything.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(ToOwned::to_owned).collect())
}

fn start_time(pid: i32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

fn is_zombie(pid: i32) -> bool {
    stat(pid).and_then(|fields| fields.first().cloned()).is_some_and(|state| state == "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_start_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let sleep = Program { name: "sleep", path: "/bin/sleep".into(), args: vec!["1000".to_owned()], secret: None };
        let Running::Background { pid, started } = start(&sleep, &dir.path().join("log")).expect("starts") else {
            panic!("it is a process")
        };
        assert!(lives(pid, started) && !lives(pid, started + 1) && !lives(i32::MAX, started));
        stop(pid, started + 1).expect("another process is left alone");
        assert!(lives(pid, started));
        stop(pid, started).expect("ends");
        assert!(!lives(pid, started));
    }
}
