use std::path::PathBuf;

use clap::Args;

/// The data directory and the configuration file, which all commands of `coordinator` take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Place {
    /// The directory of the record, the repositories and the logs; by default `sprint/coordinator` below
    /// `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, env = "SPRINT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A TOML file with the settings of `coordinator serve`: the names of the flags, with underscores for hyphens.
    #[arg(long, env = "SPRINT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Place {
    pub fn data_dir(&self) -> PathBuf {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/var/lib".into())).join(".local/state");
        let state = || std::env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from);
        self.data_dir.clone().unwrap_or_else(|| state().join("sprint/coordinator"))
    }
}
