//! Runs the `git` program, cleanly: no hooks, no prompts, no inherited environment.

use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use sprint_process::{AND_WAS_ENDED, Group};
use thiserror::Error;
use tokio::process::Command;
use tokio::time::Instant;

use super::personal;
use crate::host::environment;

/// A lock that is older than this was left by a git that died.
const STALE_LOCK: Duration = Duration::from_mins(1);

/// Why git did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum GitError {
    #[error("git cannot be started: {0}")]
    Start(#[source] std::io::Error),
    #[error("git {command} failed: {said}")]
    Failed { command: String, said: String },
}

impl GitError {
    /// Whether the coordinator refused work of an attempt that is over.
    pub(crate) fn says_late(&self) -> bool {
        matches!(self, Self::Failed { said, .. } if said.contains("is over"))
    }

    /// Whether a pack was larger than it may be.
    pub(crate) fn says_too_large(&self) -> bool {
        matches!(self, Self::Failed { said, .. } if said.contains("maximum allowed size"))
    }

    /// Whether the coordinator answered and does not take it.
    pub(crate) fn says_refused(&self) -> bool {
        matches!(self, Self::Failed { said, .. } if said.contains("[remote rejected]"))
    }

    /// Whether the coordinator answered that it does not take an object of Git LFS, or nobody could send it.
    pub(crate) fn says_object_refused(&self) -> bool {
        let never = ["[422]", "'lfs' is not a git command"];
        matches!(self, Self::Failed { said, .. } if never.iter().any(|words| said.contains(words)))
    }

    /// Whether it would be so the next time as well: a bound was met.
    pub(crate) fn says_beyond(&self) -> bool {
        let said = |said: &String| said.contains(AND_WAS_ENDED) || said.contains("ut of memory");
        matches!(self, Self::Failed { said: words, .. } if said(words))
    }

    /// Whether git ran out of disk.
    pub(crate) fn says_full(&self) -> bool {
        match self {
            Self::Start(error) => crate::host::disk::says_full(error),
            Self::Failed { said, .. } => said.contains("No space left on device") || said.contains("quota exceeded"),
        }
    }
}

/// How urgent a command is beside the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    Normal,
    /// Gives way to everything else.
    Background,
}

/// A git command in the making.
#[derive(Debug)]
pub(crate) struct Git {
    command: Command,
    name: String,
    /// The git directory, if it is the agent's own, and no worker can write to it.
    own: Option<PathBuf>,
}

impl Git {
    /// A command on a git directory.
    pub(crate) fn at(git_dir: &Path) -> Self {
        Self::with(Urgency::Normal, git_dir)
    }

    pub(crate) fn with(urgency: Urgency, git_dir: &Path) -> Self {
        let command = match urgency {
            Urgency::Normal => Command::new("git"),
            Urgency::Background => {
                let mut nice = Command::new("nice");
                nice.args(["-n", "19", "git"]);
                nice
            }
        };
        let mut git = Self { own: Some(git_dir.to_owned()), ..Self::from(command, git_dir) };
        git.command.envs(personal::confined_filters());
        git
    }

    /// A command that ends in git's arguments, on a directory that a worker may write to.
    pub(crate) fn from(mut command: Command, git_dir: &Path) -> Self {
        command
            .env_clear()
            .envs(environment::plain())
            // Messages are looked into for locks and full disks.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            // The repositories here are the agent's: the settings of its user are for that user's own.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(personal::filters())
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"])
            .args(["-c", "submodule.recurse=false"])
            .args(["-c", "maintenance.auto=false", "-c", "protocol.version=2", "-c", "advice.detachedHead=false"])
            // A server that stops talking is a failed try, not a hang.
            .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30"])
            .arg("--git-dir")
            .arg(git_dir)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Self { command, name: String::new(), own: None }
    }

    /// Without the filters of the agent's user.
    pub(crate) fn unfiltered(mut self) -> Self {
        for (key, _) in personal::filters() {
            self.command.env_remove(key);
        }
        self
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Starts it with its output in a pipe, for another to read.
    ///
    /// # Errors
    /// [`GitError::Start`].
    pub(crate) fn spawn(mut self) -> Result<Group, GitError> {
        Group::start(self.command.stdout(Stdio::piped()).stderr(Stdio::piped())).map_err(GitError::Start)
    }

    /// Works on the files of a worktree.
    pub(crate) fn work_tree(mut self, path: &Path) -> Self {
        self.command.arg("--work-tree").arg(path).current_dir(path);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets a setting for this command; to be called before its arguments.
    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        self.command.args(["-c", &format!("{key}={value}")]);
        self
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(mut self, args: I) -> Self {
        for arg in args {
            if self.name.is_empty() {
                self.name = arg.as_ref().to_string_lossy().into_owned();
            }
            self.command.arg(arg);
        }
        self
    }

    /// Commits in our name.
    pub(crate) fn committing_as_sprint(mut self) -> Self {
        for who in ["AUTHOR", "COMMITTER"] {
            self.command.env(format!("GIT_{who}_NAME"), "sprint").env(format!("GIT_{who}_EMAIL"), "sprint@localhost");
        }
        self
    }

    /// Runs it and returns its output without the last line end; what is not UTF-8 in it is replaced.
    ///
    /// # Errors
    /// [`GitError`], with what git said.
    pub(crate) async fn run(self) -> Result<String, GitError> {
        let output = self.output().await?;
        Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned())
    }

    /// Runs it and returns its output.
    ///
    /// # Errors
    /// [`GitError`], with what git said.
    pub(crate) async fn output(mut self) -> Result<Vec<u8>, GitError> {
        let began = Instant::now();
        let output = match sprint_process::output(&mut self.command).await {
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                return Err(GitError::Failed { command: self.name, said: error.to_string() });
            }
            output => output.map_err(GitError::Start)?,
        };
        tracing::trace!(command = self.name, took = ?began.elapsed(), "git has run");
        if output.status.success() {
            return Ok(output.stdout);
        }
        let mut said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if said.is_empty() {
            said = output.status.to_string();
        }
        if let Some(lock) = self.own.and_then(|own| stale_lock(&said, &own)) {
            tracing::warn!(lock = %lock.display(), "removing the stale lock of a git process that died");
            std::fs::remove_file(&lock).ok();
        }
        Err(GitError::Failed { command: self.name, said })
    }
}

/// The lock file that stopped git, if it is old enough to be stale, and in the git directory itself: what a program says
/// may be what a worker has it say.
fn stale_lock(said: &str, own: &Path) -> Option<PathBuf> {
    let lock = PathBuf::from(lock_named(said)?);
    let within = lock.strip_prefix(own).ok()?;
    if within.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let modified = lock.metadata().ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(modified).ok()?;
    (age > STALE_LOCK).then_some(lock)
}

fn lock_named(said: &str) -> Option<&str> {
    let (_, after) = said.split_once("Unable to create '")?;
    let (path, _) = after.split_once("': File exists")?;
    Path::new(path).extension().is_some_and(|extension| extension == "lock").then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_in_the_way_is_found_in_what_git_says() {
        let said = "fatal: Unable to create '/data/mirrors/a.git/packed-refs.lock': File exists.\n\nAnother git";
        assert_eq!(lock_named(said), Some("/data/mirrors/a.git/packed-refs.lock"));
        assert_eq!(lock_named("fatal: Unable to create '/etc/passwd': File exists."), None);
        assert_eq!(lock_named("fatal: something else"), None);
    }
}
