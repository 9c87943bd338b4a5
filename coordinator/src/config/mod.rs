//! The settings of `coordinator serve`. Each is declared once, in the struct of its concern, and is a flag, a
//! variable, a key of the configuration file, a default, a help text and a row of the reference table.

mod fleet;
mod limits;
mod listen;
mod log;
mod place;
mod store;
mod tls;
mod values;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use sprint_settings::Program;

pub use fleet::FleetConfig;
pub use limits::LimitsConfig;
pub use listen::ListenConfig;
pub use log::LogConfig;
pub use place::Place;
pub use store::StoreConfig;
pub use tls::TlsConfig;

/// The effective settings.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Config {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub listen: ListenConfig,
    #[command(flatten)]
    pub store: StoreConfig,
    #[command(flatten)]
    pub log: LogConfig,
    #[command(flatten)]
    pub fleet: FleetConfig,
    #[command(flatten)]
    pub tls: TlsConfig,
    #[command(flatten)]
    pub limits: LimitsConfig,
}

const SERVE: &str = "serve";

/// The program, with the settings of its subcommand `serve`.
pub fn program(command: Command) -> Program {
    Program { command, subcommand: SERVE }
}

/// Reads a command line, the variables and the configuration file.
///
/// # Errors
/// What clap refuses, what is wrong in the file, and settings that contradict each other.
pub fn read(command: Command, args: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let matches = program(command).matches(args)?;
    if let Some(serve) = matches.subcommand_matches(SERVE) {
        check(serve).map_err(|why| clap::Error::raw(ErrorKind::ValueValidation, format!("{why}\n")))?;
    }
    Ok(matches)
}

fn check(serve: &ArgMatches) -> Result<(), &'static str> {
    let url = serve.get_one::<String>("database_url");
    let is_typed = serve.value_source("database_url") == Some(ValueSource::CommandLine);
    if is_typed && url.is_some_and(|url| store::has_password(url)) {
        return Err(
            "--database-url carries a password, which all users of this host can see in the list of processes; set SPRINT_DATABASE_URL, or database_url in the file of --config, instead",
        );
    }
    if serve.contains_id("tls_cert") != serve.contains_id("tls_key") {
        return Err("--tls-cert and --tls-key belong together; give both or none");
    }
    Ok(())
}

impl Config {
    /// The settings that `serve` would have on the data directory and with the file of another command.
    ///
    /// # Errors
    /// As [`read`].
    pub fn of(place: &Place) -> Result<Self, clap::Error> {
        let mut args = vec![OsString::from("coordinator"), SERVE.into()];
        for (flag, path) in [("--config", &place.config), ("--data-dir", &place.data_dir)] {
            args.extend(path.iter().flat_map(|path| [flag.into(), path.clone().into_os_string()]));
        }
        let command = Command::new("coordinator").subcommand(Self::augment_args(Command::new(SERVE)));
        let matches = read(command, &args)?;
        let serve = matches.subcommand_matches(SERVE);
        serve.map_or_else(|| Err(clap::Error::new(ErrorKind::MissingSubcommand)), Self::from_arg_matches)
    }
}

#[cfg(test)]
mod tests;
