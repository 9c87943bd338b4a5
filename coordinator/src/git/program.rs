//! Running the `git` program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::process::Command;

use super::{GitError, OLDEST_GIT};

/// Where the repositories are: by it the programs are known that a coordinator which was killed has left behind.
static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// Ends what an earlier coordinator of these repositories has left behind, and marks what this one starts.
pub(super) fn begin(root: &Path) {
    let (key, value) = sprint_process::mark(root);
    let killed = sprint_process::kill_marked((key, &value));
    if killed > 0 {
        tracing::warn!(killed, "killed programs that a coordinator before this one has left behind");
    }
    ROOT.set(root.to_owned()).ok();
}

/// A fetch or push of a large repository over a slow line; beyond this the line is dead.
pub(super) const TRANSFER_LIMIT: Duration = Duration::from_mins(10);

/// `git` in `directory`, with nothing of the environment that could point it elsewhere, with no settings but the
/// repository's own, and no prompt for a password.
pub(super) fn command(directory: &Path) -> Command {
    command_of("git", directory)
}

/// As [`command`], for a program that runs git.
pub(super) fn command_of(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        // GIT_SSH… and GIT_SSL… say how upstreams are reached. Nor with what is ours: a database's password may be among it.
        let ours = |key: &str| key.starts_with("SPRINT_") || (key.starts_with("GIT_") && !key.starts_with("GIT_SS"));
        if key.to_str().is_some_and(ours) {
            command.env_remove(&key);
        }
    }
    if let Some(root) = ROOT.get() {
        let (key, value) = sprint_process::mark(root);
        command.env(key, value);
    }
    command
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs git to its end and returns what it printed.
pub(super) async fn run(directory: &Path, args: &[&str], limit: Duration) -> Result<String, GitError> {
    run_command(command(directory), args, limit).await
}

/// As [`run`], for a command that was prepared.
pub(super) async fn run_command(mut command: Command, args: &[&str], limit: Duration) -> Result<String, GitError> {
    let what = || args.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or_default().to_owned();
    let output = tokio::time::timeout(limit, sprint_process::output(command.args(args)))
        .await
        .map_err(|_| GitError::TimedOut { command: what(), limit })?;
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            return Err(GitError::Failed { command: what(), stdout: String::new(), stderr: error.to_string() });
        }
        output => output.map_err(GitError::NoProgram)?,
    };
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Err(GitError::Failed { command: what(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}

/// Checks that git is there and new enough.
pub(super) async fn check_version() -> Result<(), GitError> {
    let printed = run(Path::new("/"), &["version"], Duration::from_secs(10)).await?;
    let number = printed.trim().trim_start_matches("git version ").to_owned();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST_GIT { Err(GitError::TooOld { found: number }) } else { Ok(()) }
}
