//! What people type.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sprint_core::ids::OutpostName;

/// Offers this host to a Sprint coordinator and runs workers on it.
#[derive(Debug, Parser)]
#[command(name = "outpost-agent", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Joins a coordinator and runs the workers it assigns, until SIGTERM.
    ///
    /// SIGTERM ends the agent and leaves its workers running; the next start goes on with them.
    /// Each flag is also an environment variable; the log level is set by `RUST_LOG` (default: info).
    Join(Box<Join>),
    /// Runs one worker: the command of a tmux pane, started by the agent.
    #[command(hide = true)]
    Exec { dir: PathBuf },
    /// Runs a command confined as a worker is: started by the agent.
    #[command(hide = true)]
    Within {
        dir: PathBuf,
        more: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Appends standard input to a worker's log: started by tmux.
    #[command(hide = true)]
    Capture { log: PathBuf, limit: u64, end: PathBuf },
}

#[derive(Debug, Args)]
pub(crate) struct Join {
    /// Where the coordinator listens.
    #[arg(long, env = "SPRINT_COORDINATOR", value_name = "HOST:PORT", value_parser = address)]
    pub(crate) coordinator: String,
    /// The token that lets this outpost in, as `token create` printed it; needed once.
    #[arg(long, env = "SPRINT_TOKEN", hide_env_values = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file that holds the token; - is standard input.
    #[arg(long, env = "SPRINT_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// This outpost's name [default: the host's name].
    #[arg(long, env = "SPRINT_OUTPOST_NAME")]
    pub(crate) name: Option<OutpostName>,
    /// How many workers may run at once [default: the number of cores].
    #[arg(long, env = "SPRINT_OUTPOST_MAX_WORKERS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_workers: Option<u32>,
    /// A label that items can ask for; may be given several times.
    #[arg(long = "label", env = "SPRINT_OUTPOST_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Where mirrors, worktrees and logs are kept
    /// [default: `$XDG_STATE_HOME` or `~/.local/state`, then `sprint/outpost-NAME`].
    #[arg(long, env = "SPRINT_OUTPOST_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How many worktrees are kept ready for each repo.
    #[arg(long, env = "SPRINT_OUTPOST_WARM", value_name = "N", default_value_t = 2)]
    pub(crate) warm: usize,
    /// The most that is kept of one worker's terminal; the worker goes on beyond it.
    #[arg(long, env = "SPRINT_OUTPOST_LOG_LIMIT", value_name = "SIZE", default_value = "1GiB", value_parser = bytes)]
    pub(crate) log_limit: u64,
    /// Takes nothing new while less than this is free on the data directory's disk, or less than a twentieth of it
    /// if that is less. Worktrees that are kept ready go first.
    #[arg(long, env = "SPRINT_OUTPOST_MIN_FREE_DISK", value_name = "SIZE", default_value = "1GiB", value_parser = bytes)]
    pub(crate) min_free_disk: u64,
    /// Takes nothing new while the data directory holds more than this: mirrors, worktrees, logs and what is kept;
    /// measured once a minute [default: no limit].
    #[arg(long, env = "SPRINT_OUTPOST_MAX_DISK", value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_disk: Option<u64>,
    #[command(flatten)]
    pub(crate) sandbox: Sandbox,
    /// Takes nothing new, waits for the workers that run, and exits.
    #[arg(long, env = "SPRINT_OUTPOST_DRAIN")]
    pub(crate) drain: bool,
    /// How log lines are written.
    #[arg(long, env = "SPRINT_OUTPOST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How workers are confined.
#[derive(Debug, Args)]
#[command(next_help_heading = "Confinement of workers")]
pub(crate) struct Sandbox {
    /// Whether workers are confined: each to its own directory, the system and the tools in the home
    /// directory (to read). The outpost's label `sandbox` says what this host can do.
    #[arg(long = "sandbox", env = "SPRINT_OUTPOST_SANDBOX", value_enum, default_value_t = SandboxMode::BestEffort)]
    pub(crate) mode: SandboxMode,
    /// A file or directory that workers may read as well; may be given several times.
    #[arg(long, env = "SPRINT_OUTPOST_ALLOW_READ", value_name = "PATH", value_delimiter = ':')]
    pub(crate) allow_read: Vec<PathBuf>,
    /// A file or directory that workers may change as well, and share; may be given several times.
    #[arg(long, env = "SPRINT_OUTPOST_ALLOW_WRITE", value_name = "PATH", value_delimiter = ':')]
    pub(crate) allow_write: Vec<PathBuf>,
    /// How many processes one worker may have, where the host has control groups for us.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_PROCESSES", value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(8..))]
    pub(crate) max_processes: u64,
    /// How much memory one worker may have; without control groups, each of its processes
    /// [default: no limit].
    #[arg(long, env = "SPRINT_OUTPOST_MAX_MEMORY", value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_memory: Option<u64>,
    /// How many files one process of a worker may have open.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_OPEN_FILES", value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(64..))]
    pub(crate) max_open_files: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxMode {
    /// Fully, or the agent does not start.
    Require,
    /// As far as the host can.
    BestEffort,
    /// Not at all.
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("give it as HOST:PORT, such as localhost:50051")?;
    if host.is_empty() || port.parse::<u16>().is_err() || text.contains('/') {
        return Err("give it as HOST:PORT, such as localhost:50051".to_owned());
    }
    Ok(text.to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        Some(_) | None => Err("give it as KEY=VALUE, such as gpu=yes".to_owned()),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err("give it in bytes, or with KiB, MiB, GiB or TiB, such as 256MiB".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "give a whole number, such as 256MiB".to_owned())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(|| "it is zero or too large".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(bytes("1 GiB"), Ok(1 << 30));
        assert_eq!(bytes("7"), Ok(7));
        for bad in ["", "GiB", "1GB", "-1", "0", "99999999TiB"] {
            assert!(bytes(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn addresses_and_labels_are_checked() {
        assert!(address("localhost:50051").is_ok() && address("[::1]:50051").is_ok());
        assert!(address("localhost").is_err() && address("http://x:1").is_err() && address(":1").is_err());
        assert_eq!(label("gpu=a=b"), Ok(("gpu".to_owned(), "a=b".to_owned())));
        assert!(label("gpu").is_err() && label("=x").is_err());
    }
}
