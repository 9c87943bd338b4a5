//! `sprintctl`: the command line of Sprint.

mod agent;
mod app;
mod args;
mod cli;
mod client;
mod command;
mod contexts;
mod failure;
mod git;
mod local;
mod output;
mod render;
mod secret;
mod target;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;
use crate::output::Format;

fn main() -> ExitCode {
    sprint_identity::init();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let format = cli.format();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("starting"));
    let result = runtime.and_then(|runtime| {
        let result = runtime.block_on(cli.run());
        // A thread that still waits for the keyboard must not hold the process.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, format),
    }
}

/// Prints a failure to standard error, with the tokens in it cut off.
fn report(failure: &Failure, format: Format) -> ExitCode {
    if !failure.is_silent() {
        let text = match format {
            Format::Table => format!("error: {failure}"),
            Format::Json => failure.to_json(),
        };
        output::note(&secret::redacted(&text));
    }
    ExitCode::from(failure.exit_code())
}

/// Prints what is wrong with the command line, or the help; a token that was typed in the wrong place is not
/// repeated.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if error.use_stderr() && asks_for_json(std::env::args_os().skip(1)) {
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        return report(&Failure::usage(message).with_next("see: sprintctl --help"), Format::Json);
    }
    let redacted = secret::redacted(&text);
    if redacted == text {
        // There is no way to report that the output is closed.
        error.print().ok();
    } else {
        output::note(redacted.trim_end());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Whether a command line that cannot be parsed asks for JSON.
fn asks_for_json(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<_> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    args.iter().any(|arg| matches!(arg.as_str(), "-ojson" | "-o=json" | "--output=json"))
        || args.windows(2).any(|pair| matches!(pair[0].as_str(), "-o" | "--output") && pair[1] == "json")
}

#[cfg(test)]
mod tests;
