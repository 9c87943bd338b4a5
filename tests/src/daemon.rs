//! A daemon of the cluster: its process, and how to start the same one again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::LIMIT;
use crate::binaries::binary;

#[derive(Debug)]
pub(crate) struct Daemon {
    program: &'static str,
    pub(crate) args: Vec<String>,
    env: Vec<(String, String)>,
    /// The network namespace to start it in.
    pub(crate) namespace: Option<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    pub(crate) fn new(program: &'static str, args: Vec<String>, log: PathBuf) -> Self {
        Self { program, args, env: vec![], namespace: None, log, child: None }
    }

    pub(crate) fn env(&mut self, key: &str, value: &str) {
        self.env.push((key.to_owned(), value.to_owned()));
    }

    pub(crate) fn unset(&mut self, key: &str) {
        self.env.retain(|(known, _)| known != key);
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.program);
        let log = || File::options().append(true).create(true).open(&self.log).expect("the log can be written");
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                // It becomes the program: there is no process between.
                command.args(["netns", "exec", namespace]).arg(binary(self.program));
                command
            }
            None => Command::new(binary(self.program)),
        };
        let child = command
            .args(&self.args)
            .env_remove("SPRINT_COORDINATOR")
            .env_remove("SPRINT_TOKEN")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// How it ended, if it did by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("a child can be waited for"))
    }

    /// Ends it without a chance to do anything.
    pub(crate) fn kill_9(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().ok();
        child.wait().ok();
    }

    /// Sends SIGTERM, and answers how it ended and after how long.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let mut child = self.child.take().expect("it runs");
        let asked = Instant::now();
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it is alive");
        while asked.elapsed() < LIMIT {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return (status, asked.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().ok();
        child.wait().ok();
        panic!("{} did not end within {LIMIT:?} of SIGTERM", self.program);
    }

    pub(crate) fn log(&self) -> String {
        text(&self.log)
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
