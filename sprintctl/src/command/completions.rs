//! Completions and man pages, from the same definitions as the commands.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to write for
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The directory for the pages; created if it is missing
    dir: PathBuf,
}

/// Prints the completion script of a shell.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "sprintctl", &mut script);
    output.bytes(&script)
}

/// Writes one page for each command.
pub(crate) fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let doing = || Failure::io(format!("writing man pages to {}", args.dir.display()));
    std::fs::create_dir_all(&args.dir).map_err(doing())?;
    clap_mangen::generate_to(command, &args.dir).map_err(doing())
}
