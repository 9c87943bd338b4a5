//! The agent of an outpost: joins a coordinator, runs its workers in tmux, brings their work home.

mod check;
mod cli;
mod context;
mod host;
mod join;
mod link;
mod redactor;
mod runtime;
mod sandbox;
mod settings;
mod shim;
mod tmux;
mod worker;
mod worker_ctl;
mod workspace;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::settings::{FORMER_TOKEN_VARIABLE, JoinSettings, TOKEN_VARIABLE};

fn main() -> ExitCode {
    // One of these for each worker: it must start at once, without a parser for people's options.
    let mut all = std::env::args_os();
    if worker_ctl::is_meant(all.next().as_deref()) {
        return worker_ctl::run(std::env::args_os());
    }
    let arguments: Vec<OsString> = all.take(4).collect();
    match arguments.as_slice() {
        [command, dir] if command == "exec" => return shim::run(dir.into()),
        [command, data] if command == "warm" => return shim::warm(Path::new(data), None),
        [command, data, mechanisms] if command == "warm" => return shim::warm(Path::new(data), mechanisms.to_str()),
        [command, dir, more, _, ..] if command == "within" => {
            return shim::within(dir.into(), more.into(), std::env::args_os().skip(4).collect());
        }
        _ => {}
    }
    match Cli::load().command {
        Command::Within { dir, more, command } => shim::within(dir, more, command),
        Command::Exec { dir } => shim::run(dir),
        Command::Warm { data_dir, mechanisms } => shim::warm(&data_dir, mechanisms.as_deref()),
        Command::Config { reference: _ } => {
            print!("{}", Cli::program().reference());
            ExitCode::SUCCESS
        }
        Command::Man { directory } => man(&directory),
        Command::Join(settings) => join(*settings),
        Command::Check(settings) => check::run(*settings),
    }
}

fn man(directory: &Path) -> ExitCode {
    match Cli::program().man(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the man pages cannot be written to {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn join(settings: JoinSettings) -> ExitCode {
    sprint_identity::init();
    let joined = match token_in_the_open(&settings) {
        Some(token) => Err(link::token::start_again(&token).into()),
        None => join::run(settings),
    };
    match joined {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A token among the arguments or in the environment, where other users of the host may look.
fn token_in_the_open(settings: &JoinSettings) -> Option<String> {
    if settings.token.is_some() || settings.token_file.is_some() {
        return settings.token.clone();
    }
    let token = std::env::var(FORMER_TOKEN_VARIABLE).ok().filter(|token| !token.is_empty())?;
    eprintln!(
        "warning: {FORMER_TOKEN_VARIABLE} is read as the outpost's token in this release only; set {TOKEN_VARIABLE} instead"
    );
    Some(token)
}
