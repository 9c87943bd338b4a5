//! Settings of the daemons. A setting is declared once, as a flag of a clap command, and is from there also a
//! variable, a key of the configuration file, a default, a help text and a row of the reference table.
//!
//! A flag takes precedence over its variable, a variable over the file, the file over the default.

mod file;
mod reference;

use std::ffi::OsString;
use std::path::Path;

use clap::{ArgMatches, Args, Command};

pub use reference::table;

/// A program whose settings are the flags of one of its subcommands.
#[derive(Debug, Clone)]
pub struct Program {
    pub command: Command,
    /// The subcommand whose flags are the settings. Its flag `--config` names the file, as does that of others which share
    /// some of its flags.
    pub subcommand: &'static str,
}

impl Program {
    /// Reads flags, variables and the file.
    ///
    /// # Errors
    /// What clap refuses; a file that cannot be read, or has a key or a value that no flag has.
    pub fn matches(&self, args: &[OsString]) -> Result<ArgMatches, clap::Error> {
        let mut command = self.command.clone();
        if let Some((subcommand, file)) = file::named_in(&command, args) {
            command = file::apply(&command, self.subcommand, &subcommand, &file)?;
        }
        command.try_get_matches_from(args)
    }

    /// Writes a man page for the program and one for each subcommand that its help lists.
    ///
    /// # Errors
    /// The directory cannot be made, or a page cannot be written.
    pub fn man(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        clap_mangen::generate_to(self.command.clone(), directory)
    }

    /// The reference table of the settings, in Markdown.
    pub fn reference(&self) -> String {
        let mut command = self.command.clone();
        command.build();
        table(&command.find_subcommand(self.subcommand).cloned().unwrap_or_default())
    }
}

/// Settings as they are when nothing sets them.
///
/// # Panics
/// A setting that has no default, and is not optional.
pub fn defaults<T: Args>() -> T {
    let command = T::augment_args(Command::new("defaults").no_binary_name(true));
    let matches =
        command.mut_args(|arg| arg.env(None::<&'static str>)).get_matches_from(std::iter::empty::<OsString>());
    T::from_arg_matches(&matches).expect("each setting has a default or is optional")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_man_page_for_itself_and_for_each_listed_subcommand() {
        let command = Command::new("coordinator")
            .subcommand(Command::new("serve").about("Runs the coordinator"))
            .subcommand(Command::new("config").hide(true));
        let dir = tempfile::tempdir().expect("a directory");
        let directory = dir.path().join("man1");
        Program { command, subcommand: "serve" }.man(&directory).expect("is written");
        let pages = std::fs::read_dir(&directory).expect("is made").flatten();
        let mut pages = pages.map(|page| page.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>();
        pages.sort();
        assert_eq!(pages, ["coordinator-serve.1", "coordinator.1"]);
        let page = std::fs::read_to_string(directory.join("coordinator-serve.1")).expect("is a page");
        assert!(page.contains("Runs the coordinator"), "{page}");
    }
}
