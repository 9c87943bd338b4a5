//! What a program that was itself killed has left behind: nothing else knows its children.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable by which the children of a coordinator are known.
const VARIABLE: &str = "SPRINT_CHILD_OF";

/// What the children of who works in a directory have in their environment.
pub fn mark(directory: &Path) -> (&'static str, OsString) {
    (VARIABLE, directory.as_os_str().to_owned())
}

/// Kills every process but this one whose environment holds a variable, and says how many.
pub fn kill_marked((key, value): (&str, &std::ffi::OsStr)) -> usize {
    let wanted = [key.as_bytes(), b"=", value.as_bytes()].concat();
    let own = Pid::this();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    let mut killed = 0;
    for pid in pids.filter(|pid| *pid != own) {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let marked = environment.split(|byte| *byte == 0).any(|entry| entry == wanted);
        if marked && kill(pid, Signal::SIGKILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn who_carries_the_mark_is_killed_and_nobody_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let (key, value) = mark(directory.path());
        let start = |value: &std::ffi::OsStr| Command::new("sleep").arg("60").env(key, value).spawn().expect("starts");
        let (mut marked, mut other) = (start(&value), start("/elsewhere".as_ref()));
        // It has the environment once it has become the program.
        while kill_marked((key, &value)) == 0 {
            std::thread::yield_now();
        }
        assert!(!marked.wait().expect("ends").success());
        assert!(other.try_wait().expect("is asked").is_none());
        other.kill().expect("is ended");
        other.wait().expect("ends");
    }
}
