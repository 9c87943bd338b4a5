//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use sprint_settings::Program;

use crate::settings::{CheckSettings, JoinSettings};

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
    /// Says what a worker on this host would miss, before it joins: programs, confinement, what cannot be read.
    ///
    /// No coordinator is asked, and an agent that runs is not disturbed. Exits with 1 where workers could not run, or
    /// the command of `--run` fails.
    Check(Box<CheckSettings>),
    /// Prints the reference table of the settings, in Markdown.
    #[command(hide = true)]
    Config {
        #[arg(long, required = true)]
        reference: bool,
    },
    /// Writes the man pages into a directory, which is created if it is missing.
    #[command(hide = true)]
    Man { directory: PathBuf },
    /// Runs one worker: the command of a tmux pane, started by the agent.
    #[command(hide = true)]
    Exec { dir: PathBuf },
    /// Waits for a worker and runs it: the command of a tmux pane, started by the agent in advance.
    #[command(hide = true)]
    Warm { data_dir: PathBuf, mechanisms: Option<String> },
    /// Runs a command confined as a worker is: started by the agent.
    #[command(hide = true)]
    Within {
        dir: PathBuf,
        more: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

impl Cli {
    /// Reads flags, variables and the configuration file; exits when they are wrong, or with the help.
    pub(crate) fn load() -> Self {
        Self::load_from(&std::env::args_os().collect::<Vec<_>>()).unwrap_or_else(|error| error.exit())
    }

    fn load_from(args: &[OsString]) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::program().matches(args)?)
    }

    /// The program, with the settings of `join`.
    pub(crate) fn program() -> Program {
        Program { command: Self::command(), subcommand: "join" }
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
