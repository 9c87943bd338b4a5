//! The agent of an outpost: joins a coordinator, runs its workers in tmux, brings their work home.

mod agent;
mod cli;
mod disk;
mod environment;
mod join;
mod link;
mod paths;
mod preflight;
mod shim;
mod tmux;
mod watch;
mod worker;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Exec { dir } => shim::run(dir),
        Command::Capture { log, limit, end } => shim::capture(&log, limit, &end),
        Command::Join(options) => match join::run(*options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
