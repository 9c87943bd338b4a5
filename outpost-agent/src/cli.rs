//! What people type.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config_file;
use crate::settings::JoinSettings;

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
    /// SIGTERM ends the agent and leaves its workers running; the next start adopts them. The variable `RUST_LOG`
    /// sets the log level (default: info).
    Join(Box<JoinSettings>),
    /// Prints the reference table of the settings, in Markdown.
    #[command(hide = true)]
    Config {
        #[arg(long, required = true)]
        reference: bool,
    },
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

const JOIN: &str = "join";

impl Cli {
    /// Reads flags, variables and the configuration file; exits when they are wrong, or with the help.
    pub(crate) fn load() -> Self {
        Self::load_from(std::env::args_os().collect()).unwrap_or_else(|error| error.exit())
    }

    fn load_from(args: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        if let Some(file) = config_file::named_in(&command, JOIN, &args) {
            command = config_file::apply(&command, JOIN, &file)?;
        }
        Self::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    /// The settings of `join`, as a command without its context.
    pub(crate) fn join_command() -> clap::Command {
        let mut command = Self::command();
        command.build();
        command.find_subcommand(JOIN).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
