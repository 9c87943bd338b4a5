//! What a coordinator is told: flags first, then the environment, then a TOML file, then defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

/// The flags of `coordinator serve`. Each is also an environment variable (`SPRINT_DATA_DIR`, …)
/// and a key of the configuration file (`data_dir`, …).
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct Flags {
    /// Where the record, the repositories and the logs are kept [default: ~/.local/state/sprint/coordinator]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Where gRPC listens; loopback only, port 0 takes a free one [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Where HTTP (git, health) listens; loopback only [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// A PostgreSQL database for the record, postgres://… [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// How long a cut-off outpost keeps its work before it is tried elsewhere [default: 10m]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnect_grace: Option<String>,
    /// How often outposts say that they are there [default: 5s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<String>,
    /// A TOML file with these settings, with the names in lower case and underscores
    #[arg(long, value_name = "FILE", env = "SPRINT_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    #[serde(default = "default_http")]
    pub http: SocketAddr,
    pub database_url: Option<String>,
    #[serde(default = "default_log_format")]
    pub log_format: LogFormat,
    #[serde(default = "default_grace", with = "sprint_core::gates::duration_text")]
    pub disconnect_grace: Duration,
    #[serde(default = "default_heartbeat", with = "sprint_core::gates::duration_text")]
    pub heartbeat: Duration,
}

fn default_data_dir() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/var/lib".into())).join(".local/state");
    std::env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from).join("sprint/coordinator")
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 50051)
}

const fn default_http() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080)
}

const fn default_log_format() -> LogFormat {
    LogFormat::Text
}

const fn default_grace() -> Duration {
    Duration::from_mins(10)
}

const fn default_heartbeat() -> Duration {
    Duration::from_secs(5)
}

/// The keys that the environment may set, as `SPRINT_<KEY>`.
const KEYS: [&str; 7] = ["data_dir", "listen", "http", "database_url", "log_format", "disconnect_grace", "heartbeat"];

impl Config {
    /// Puts flags, environment, file and defaults together.
    ///
    /// # Errors
    /// A text for people: which setting is wrong, and where it was set.
    pub fn load(flags: &Flags) -> anyhow::Result<Self> {
        let mut figment = Figment::new();
        if let Some(file) = &flags.config {
            anyhow::ensure!(
                file.is_file(),
                "the configuration file {} is not there; check --config or SPRINT_CONFIG",
                file.display()
            );
            figment = figment.merge(Toml::file_exact(file));
        }
        let config: Self = figment
            .merge(Env::prefixed("SPRINT_").only(&KEYS))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| anyhow::anyhow!("a setting is wrong: {error}; see: coordinator serve --help"))?;
        for (flag, address) in [("--listen", config.listen), ("--http", config.http)] {
            anyhow::ensure!(
                address.ip().is_loopback(),
                "{flag} {address} can be reached from other machines, and callers are not asked yet who they are; use a loopback address such as 127.0.0.1:{}",
                address.port()
            );
        }
        anyhow::ensure!(!config.heartbeat.is_zero(), "--heartbeat is zero; use a duration such as 5s");
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags::default()
    }

    #[test]
    fn an_address_that_others_could_reach_is_refused() {
        let flags = Flags { listen: Some("0.0.0.0:50051".parse().unwrap()), ..flags() };
        let error = Config::load(&flags).unwrap_err().to_string();
        assert!(error.contains("--listen 0.0.0.0:50051") && error.contains("127.0.0.1:50051"), "{error}");
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("coordinator.toml");
        std::fs::write(&file, "heartbeat = \"1s\"\ndisconnect_grace = \"2m\"\n").unwrap();
        let flags = Flags { config: Some(file), heartbeat: Some("3s".to_owned()), ..flags() };
        let config = Config::load(&flags).unwrap();
        assert_eq!((config.heartbeat, config.disconnect_grace), (Duration::from_secs(3), Duration::from_mins(2)));
        assert_eq!(config.http, default_http());
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("coordinator.toml");
        std::fs::write(&file, "hartbeat = \"1s\"\n").unwrap();
        let error = Config::load(&Flags { config: Some(file), ..flags() }).unwrap_err().to_string();
        assert!(error.contains("hartbeat"), "{error}");
    }
}
