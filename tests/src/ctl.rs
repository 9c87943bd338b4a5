//! `sprintctl`, as a script uses it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::binaries::binary;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
    command: String,
}

impl Answer {
    pub(crate) fn new(command: String, output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr, command }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails the test unless the command succeeded.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check is often all that is wanted")]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}: {}", self.command, self.stderr);
        self
    }

    /// Fails the test unless the command was refused with a message that has all these parts.
    #[track_caller]
    pub fn refused(&self, parts: &[&str]) {
        assert_eq!(self.code, 1, "{} exits with 1: {}{}", self.command, self.text(), self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{}: {:?} does not say {part:?}", self.command, self.stderr);
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error} in {text:?}", self.command))
    }
}

/// A command that runs beside the test.
#[derive(Debug)]
pub struct Background {
    child: Option<Child>,
    command: String,
}

impl Background {
    /// Waits for its end.
    #[track_caller]
    pub fn answer(mut self) -> Answer {
        let child = self.child.take().expect("it is answered once");
        let (command, pid) = (self.command.clone(), child.id());
        let (done, ended) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let output = child.wait_with_output();
            done.send(()).ok();
            output
        });
        if ended.recv_timeout(crate::LIMIT).is_err() {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::Signal::SIGKILL)
                .ok();
            panic!("{command} did not end");
        }
        Answer::new(command, waiting.join().expect("no panic").expect("it ran"))
    }
}

impl Background {
    /// Waits until it has a connection, and time enough to have asked something.
    #[track_caller]
    pub fn connected(&self) {
        let process = format!("/proc/{}", self.child.as_ref().expect("it runs").id());
        crate::eventually(&format!("{} connects", self.command), || {
            let table = std::fs::read_to_string(format!("{process}/net/tcp")).unwrap_or_default();
            // The fourth column is the state, 01 for established, and the tenth the socket's inode.
            let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let open = lines.filter(|line| line.get(3) == Some(&"01")).filter_map(|line| line.get(9).copied());
            let open = open.map(|inode| format!("socket:[{inode}]")).collect::<Vec<_>>();
            let files = std::fs::read_dir(format!("{process}/fd")).into_iter().flatten().flatten();
            files
                .filter_map(|file| std::fs::read_link(file.path()).ok())
                .any(|target| open.iter().any(|socket| target.as_os_str() == socket.as_str()))
        });
        std::thread::sleep(std::time::Duration::from_millis(200));
    }

    /// Ends it, and answers what it printed until then.
    pub fn ended(mut self) -> Answer {
        let mut child = self.child.take().expect("it runs");
        child.kill().ok();
        Answer::new(self.command.clone(), child.wait_with_output().expect("it ran"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn command(contexts: &Path, address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary("sprintctl"));
    command.args(args).env("SPRINT_COORDINATOR", address).env("SPRINT_CONFIG_DIR", contexts).stdin(Stdio::null());
    command.env_remove("SPRINT_TOKEN").env_remove("SPRINT_CONTEXT");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn shown(args: &[&str]) -> String {
    let mut text = format!("sprintctl {}", args.join(" "));
    text.truncate(text.floor_char_boundary(300));
    text
}

pub(crate) fn run_with(contexts: &Path, address: &str, variables: &[(&str, &str)], args: &[&str]) -> Answer {
    run_in(Path::new("."), contexts, address, variables, args)
}

pub(crate) fn run_in(
    directory: &Path,
    contexts: &Path,
    address: &str,
    variables: &[(&str, &str)],
    args: &[&str],
) -> Answer {
    let mut command = command(contexts, address, args);
    command.envs(variables.iter().copied()).current_dir(directory);
    Answer::new(shown(args), command.output().expect("sprintctl runs"))
}

pub(crate) fn run(contexts: &Path, address: &str, args: &[&str]) -> Answer {
    Answer::new(shown(args), command(contexts, address, args).output().expect("sprintctl runs"))
}

pub(crate) fn feed(contexts: &Path, address: &str, args: &[&str], input: &[u8]) -> Answer {
    let mut child = command(contexts, address, args).stdin(Stdio::piped()).spawn().expect("sprintctl runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may refuse before it has read everything.
    stdin.write_all(input).ok();
    drop(stdin);
    Answer::new(shown(args), child.wait_with_output().expect("it ran"))
}

pub(crate) fn spawn(contexts: &Path, address: &str, args: &[&str]) -> Background {
    let child = command(contexts, address, args).spawn().expect("sprintctl runs");
    Background { child: Some(child), command: shown(args) }
}
