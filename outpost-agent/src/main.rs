//! The agent of an outpost: joins a coordinator, runs its workers in tmux, brings their work home.

mod cli;
mod context;
mod host;
mod join;
mod link;
mod sandbox;
mod shim;
mod tmux;
mod worker;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn main() -> ExitCode {
    // Two of these for each worker: they must start at once, without a parser for people's options.
    let arguments: Vec<OsString> = std::env::args_os().skip(1).take(5).collect();
    match arguments.as_slice() {
        [command, dir] if command == "exec" => return shim::run(dir.into()),
        [command, log, limit, end] if command == "capture" => {
            if let Some(limit) = limit.to_str().and_then(|limit| limit.parse().ok()) {
                return shim::capture(log.as_ref(), limit, end.as_ref());
            }
        }
        [command, dir, more, _, ..] if command == "within" => {
            return shim::within(dir.into(), more.into(), std::env::args_os().skip(4).collect());
        }
        _ => {}
    }
    match Cli::parse().command {
        Command::Within { dir, more, command } => shim::within(dir, more, command),
        Command::Exec { dir } => shim::run(dir),
        Command::Capture { log, limit, end } => shim::capture(&log, limit, &end),
        Command::Join(options) => {
            sprint_identity::init();
            let joined = match options.token.as_deref() {
                Some(token) => Err(link::token::start_again(token).into()),
                None => join::run(*options),
            };
            match joined {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
