//! The settings of `outpost-agent join`: each is declared here once, and is a flag, a variable, a key of the
//! configuration file, a default, a help text and a row of the reference table.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sprint_core::ids::OutpostName;
use sprint_core::text::bytes;
use sprint_telemetry::{CollectorUrl, LogFormat};

/// The variable that held the token before it had a name of its own: `sprintctl` reads it as a person's.
pub(crate) const FORMER_TOKEN_VARIABLE: &str = "SPRINT_TOKEN";
pub(crate) const TOKEN_VARIABLE: &str = sprint_core::token::OUTPOST_VARIABLE;

#[derive(Debug, Args)]
pub(crate) struct JoinSettings {
    /// A TOML file with settings: the names of the flags, with underscores for hyphens.
    ///
    /// A flag takes precedence over its variable, a variable over the file, the file over the default.
    #[arg(long, env = "SPRINT_OUTPOST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The coordinator's gRPC address.
    #[arg(long, env = "SPRINT_COORDINATOR", value_name = "HOST:PORT", value_parser = address)]
    pub(crate) coordinator: String,
    /// The token that admits this outpost, as `token create` printed it; needed for the first start only.
    #[arg(long, env = TOKEN_VARIABLE, hide_env_values = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file that holds the token; - is standard input.
    #[arg(long, env = "SPRINT_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// This outpost's name; by default the host's name.
    #[arg(long, env = "SPRINT_OUTPOST_NAME")]
    pub(crate) name: Option<OutpostName>,
    /// The most workers at one time; by default the number of cores.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_WORKERS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_workers: Option<u32>,
    /// A label that items can require; repeatable.
    #[arg(long = "label", env = "SPRINT_OUTPOST_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// The directory for mirrors, worktrees and logs; by default `sprint/outpost-NAME` below `$XDG_STATE_HOME`
    /// or `~/.local/state`.
    #[arg(long, env = "SPRINT_OUTPOST_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The number of worktrees kept ready for each repo, and of tmux sessions for all workers.
    #[arg(long, env = "SPRINT_OUTPOST_WARM", value_name = "N", default_value_t = 2)]
    pub(crate) warm: usize,
    /// The most bytes kept of one worker's terminal; the worker goes on beyond it.
    #[arg(long, env = "SPRINT_OUTPOST_LOG_LIMIT", value_name = "SIZE", default_value = "1GiB", value_parser = bytes)]
    pub(crate) log_limit: u64,
    /// The most bytes saved of what one attempt leaves besides its commits and files: other branches, stashes,
    /// repositories within its workspace. What is more stays on the outpost, in `kept/` below the data directory.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_LEFT", value_name = "SIZE", default_value = "100MiB", value_parser = bytes)]
    pub(crate) max_left: u64,
    /// The directory of files that git ignores and workers need: those of the repo `NAME` are in `DIR/NAME`, which may
    /// be a link. Any worker of that repo may come to read them: what it gets is named by the branch's `sprint.toml`
    /// or `.worktreeinclude`.
    #[arg(long, env = "SPRINT_OUTPOST_FILES", value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// A TOML file with agents that this outpost has besides those that ship with Sprint, or in their place:
    /// `[runtime.NAME]`, as docs/reference/runtime.md says.
    #[arg(long, env = "SPRINT_OUTPOST_RUNTIMES", value_name = "FILE")]
    pub(crate) runtimes: Option<PathBuf>,
    /// Accepts no new work while less than this is free on the data directory's disk, or less than 5 % of the disk
    /// if that is less. Worktrees that are kept ready are removed first.
    #[arg(long, env = "SPRINT_OUTPOST_MIN_FREE_DISK", value_name = "SIZE", default_value = "1GiB", value_parser = bytes)]
    pub(crate) min_free_disk: u64,
    /// Accepts no new work while the data directory holds more than this (mirrors, worktrees, logs and kept work;
    /// measured once a minute); by default without a limit.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_DISK", value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_disk: Option<u64>,
    /// Accepts no new work, waits for the running workers, and exits.
    #[arg(long, env = "SPRINT_OUTPOST_DRAIN")]
    pub(crate) drain: bool,
    /// The format of log lines.
    #[arg(long, env = "SPRINT_OUTPOST_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// A collector that gets spans by OTLP over gRPC, such as `http://localhost:4317`; by default none are made.
    #[arg(long, env = "SPRINT_OUTPOST_OTLP", value_name = "URL")]
    pub(crate) otlp: Option<CollectorUrl>,
    // Last: its heading holds for every flag after it.
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// The settings of `outpost-agent check`; those of confinement are the ones of `join`.
#[derive(Debug, Args)]
pub(crate) struct CheckSettings {
    /// The TOML file of `join`; what concerns confinement in it counts.
    #[arg(long, env = "SPRINT_OUTPOST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Runs a command line as a worker's would be run, in an empty repository, and shows the end of its terminal.
    #[arg(long, value_name = "CMD")]
    pub(crate) run: Option<String>,
    /// The longest that it may take.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    // Last: its heading holds for every flag after it.
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// How workers are confined.
#[derive(Debug, Args)]
#[command(next_help_heading = "Confinement of workers")]
pub(crate) struct SandboxArgs {
    /// Whether workers are confined: each to its own directory, and to the system and the tools in the home
    /// directory, which it may read. The outpost's label `sandbox` says which mechanisms this host has.
    #[arg(long = "sandbox", env = "SPRINT_OUTPOST_SANDBOX", value_enum, default_value_t = SandboxMode::BestEffort)]
    pub(crate) mode: SandboxMode,
    /// A further file or directory that workers may read; repeatable.
    #[arg(long, env = "SPRINT_OUTPOST_ALLOW_READ", value_name = "PATH", value_delimiter = ':')]
    pub(crate) allow_read: Vec<PathBuf>,
    /// A further file or directory that workers may change, all of them the same one; repeatable.
    #[arg(long, env = "SPRINT_OUTPOST_ALLOW_WRITE", value_name = "PATH", value_delimiter = ':')]
    pub(crate) allow_write: Vec<PathBuf>,
    /// The most processes of one worker, on hosts where the agent can use control groups.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_PROCESSES", value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(8..))]
    pub(crate) max_processes: u64,
    /// The most memory of one worker, or of each of its processes on hosts without control groups; by default
    /// without a limit.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_MEMORY", value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_memory: Option<u64>,
    /// The most open files of one process of a worker.
    #[arg(long, env = "SPRINT_OUTPOST_MAX_OPEN_FILES", value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(64..))]
    pub(crate) max_open_files: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxMode {
    /// Fully, or the agent does not start.
    Require,
    /// With the mechanisms that the host has.
    BestEffort,
    /// Not at all.
    Off,
}

fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("write it as HOST:PORT, such as localhost:50051")?;
    if host.is_empty() || port.parse::<u16>().is_err() || text.contains('/') {
        return Err("write it as HOST:PORT, such as localhost:50051".to_owned());
    }
    Ok(text.to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        Some(_) | None => Err("write it as KEY=VALUE, such as gpu=yes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_labels_are_checked() {
        assert!(address("localhost:50051").is_ok() && address("[::1]:50051").is_ok());
        assert!(address("localhost").is_err() && address("http://x:1").is_err() && address(":1").is_err());
        assert_eq!(label("gpu=a=b"), Ok(("gpu".to_owned(), "a=b".to_owned())));
        assert!(label("gpu").is_err() && label("=x").is_err());
    }
}
