//! `sprintctl`: the command line of Sprint.

mod app;
mod args;
mod cli;
mod client;
mod command;
mod contexts;
mod failure;
mod output;
mod render;
mod secret;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;

fn main() -> ExitCode {
    sprint_identity::init();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
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
                output::note(&secret::redacted(&format!("error: {failure}")));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Says what is wrong with the command line, or what was asked of it; a token that was typed in the
/// wrong place is not repeated.
fn unparsed(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let shown = secret::redacted(&text);
    if shown == text {
        // Nobody is left to tell when the output is closed.
        error.print().ok();
    } else {
        output::note(shown.trim_end());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests;
