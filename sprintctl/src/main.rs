//! `sprintctl`: the command line of Sprint.

mod args;
mod attach;
mod change;
mod cli;
mod client;
mod completions;
mod event;
mod failure;
mod item;
mod item_file;
mod outpost;
mod output;
mod render;
mod repo;
mod status;
mod wait;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("starting")).and_then(
            |runtime| {
                let result = runtime.block_on(cli.run());
                // A thread that still waits for the keyboard must not hold the process.
                runtime.shutdown_background();
                result
            },
        );
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::BrokenPipe) {
                output::note(&format!("error: {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests;
