//! Why git did not do what it was asked.

use std::time::Duration;

use sprint_core::bounds::CONFIG_FILE;
use sprint_core::ids::RepoName;
use thiserror::Error;

use super::obstacle::Obstacle;

/// The oldest git that has `merge-tree --stdin`.
pub const OLDEST_GIT: (u32, u32) = (2, 39);

/// Why git did not do what it was asked.
#[derive(Debug, Error)]
pub enum GitError {
    #[error("git cannot be run: {0}; install it (Debian: apt-get install git)")]
    NoProgram(std::io::Error),
    #[error("git {found} is too old; {} or newer is needed", version(OLDEST_GIT))]
    TooOld { found: String },
    #[error("git {command} failed: {}", stderr.trim().replace('\n', "; "))]
    Failed { command: String, stdout: String, stderr: String },
    #[error("git {command} did not end within {}", humantime::format_duration(*limit))]
    TimedOut { command: String, limit: Duration },
    #[error("git's object store failed: {0}")]
    Library(#[from] git2::Error),
    #[error("\"{url}\": {}: {said}; {}", obstacle.what(), obstacle.advice())]
    Unreachable { url: String, obstacle: Obstacle, said: String },
    #[error(
        "\"{url}\" is a shallow clone: it lacks the beginning of its history; complete it with git fetch --unshallow, or name the repository that it was cloned from"
    )]
    Shallow { url: String },
    #[error("\"{url}\" has the object format sha256, which is not supported; only sha1 is")]
    ObjectFormat { url: String },
    #[error("\"{url}\" is empty: it has no commit; push a first commit, then add it again")]
    Empty { url: String },
    #[error("\"{url}\" has no branch \"{branch}\"; it has {present}; name one of them")]
    NoBranch { url: String, branch: String, present: String },
    #[error(
        "the key {key} cannot sign: {why}; it must be a private SSH key of the coordinator's user, without a passphrase"
    )]
    Signing { key: String, why: String },
    #[error("{0} is not a file, but a directory, a link or a submodule")]
    NoFile(String),
    #[error("{0} has more than {CONFIG_FILE} bytes")]
    LongFile(String),
    #[error("{what} more than {most} {unit}, and no more are dealt with")]
    Beyond { what: String, most: usize, unit: &'static str },
    #[error("the repository has no branch \"{0}\"")]
    NoTip(String),
    #[error("the repository of {0} is not there; was the data directory changed by another program?")]
    Missing(RepoName),
    #[error("git cannot merge it: {0}")]
    TooHard(String),
    #[error("git merge-tree answered something unexpected: {0}")]
    MergeTree(String),
    #[error("the repositories' directory failed: {0}")]
    Io(#[from] std::io::Error),
}

fn version((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}
