//! What a coordinator is told: flags first, then the environment, then a TOML file, then defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::face::Limits;
use crate::service::{MAX_PUSH_BYTES, OUTPOST_CERTIFICATE_TTL};

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
    /// Where gRPC and git listen, by TLS; port 0 takes a free one [default: 0.0.0.0:50051]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Where plain HTTP (git, health) listens; loopback only [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// A PostgreSQL database for the record, postgres://…; one with a password belongs into the environment or the
    /// configuration file [default: SQLite in the data directory]
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
    /// How often outposts bring the uncommitted work of their workers; 0s: only when a worker ends [default: 1m]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_every: Option<String>,
    /// How often outposts say that they are there [default: 5s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<String>,
    /// A name or address by which others reach this coordinator, beside those that this host has; may be given
    /// several times
    #[arg(long, value_name = "HOST")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advertise: Vec<String>,
    /// A certificate of your own (PEM), with its chain up to the authority that it comes from; read again when it
    /// changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// How long an outpost's certificate counts; it is renewed long before, while the outpost is connected
    /// [default: 7d]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outpost_cert_ttl: Option<String>,
    /// How many connections there may be [default: 8192]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
    /// How many connections without a certificate one address may have [default: 1024]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_address: Option<usize>,
    /// The largest push that is taken from an outpost, in MiB [default: 2048]
    #[arg(long, value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_push_mib: Option<u64>,
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
    #[serde(default = "default_snapshot_every", with = "sprint_core::gates::duration_text")]
    pub snapshot_every: Duration,
    #[serde(default = "default_heartbeat", with = "sprint_core::gates::duration_text")]
    pub heartbeat: Duration,
    #[serde(default)]
    pub advertise: Vec<String>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    #[serde(default = "default_outpost_cert_ttl", with = "sprint_core::gates::duration_text")]
    pub outpost_cert_ttl: Duration,
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
    #[serde(default = "default_max_connections_per_address")]
    pub max_connections_per_address: usize,
    #[serde(default = "default_max_push_mib")]
    pub max_push_mib: u64,
}

fn default_data_dir() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/var/lib".into())).join(".local/state");
    std::env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from).join("sprint/coordinator")
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 50051)
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

const fn default_snapshot_every() -> Duration {
    Duration::from_mins(1)
}

const fn default_heartbeat() -> Duration {
    Duration::from_secs(5)
}

const fn default_outpost_cert_ttl() -> Duration {
    OUTPOST_CERTIFICATE_TTL
}

fn default_max_connections() -> usize {
    Limits::default().connections
}

fn default_max_connections_per_address() -> usize {
    Limits::default().per_address
}

const fn default_max_push_mib() -> u64 {
    MAX_PUSH_BYTES >> 20
}

/// The keys that the environment may set, as `SPRINT_<KEY>`.
const KEYS: [&str; 15] = [
    "data_dir",
    "listen",
    "http",
    "database_url",
    "log_format",
    "disconnect_grace",
    "snapshot_every",
    "heartbeat",
    "advertise",
    "tls_cert",
    "tls_key",
    "outpost_cert_ttl",
    "max_connections",
    "max_connections_per_address",
    "max_push_mib",
];

impl Config {
    /// Puts flags, environment, file and defaults together.
    ///
    /// # Errors
    /// A text for people: which setting is wrong, and where it was set.
    pub fn load(flags: &Flags) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !flags.database_url.as_deref().is_some_and(has_password),
            "--database-url carries a password, which everybody on this host can see in the list of processes; set SPRINT_DATABASE_URL, or database_url in the file of --config, instead"
        );
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
        anyhow::ensure!(
            config.http.ip().is_loopback(),
            "--http {} can be reached from other machines, and plain HTTP shows everything to whoever listens; use a loopback address such as 127.0.0.1:{}, and --listen for others",
            config.http,
            config.http.port()
        );
        anyhow::ensure!(
            config.tls_cert.is_some() == config.tls_key.is_some(),
            "--tls-cert and --tls-key belong together; give both or none"
        );
        anyhow::ensure!(!config.outpost_cert_ttl.is_zero(), "--outpost-cert-ttl is zero; use a duration such as 7d");
        anyhow::ensure!(!config.heartbeat.is_zero(), "--heartbeat is zero; use a duration such as 5s");
        Ok(config)
    }
}

/// Whether an address is of the form `scheme://user:password@host`.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || url.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags::default()
    }

    #[test]
    fn plain_http_that_others_could_reach_is_refused() {
        let flags = Flags { http: Some("0.0.0.0:8080".parse().unwrap()), ..flags() };
        let error = Config::load(&flags).unwrap_err().to_string();
        assert!(error.contains("--http 0.0.0.0:8080") && error.contains("127.0.0.1:8080"), "{error}");
    }

    #[test]
    fn a_password_on_the_command_line_is_refused_without_being_shown() {
        for url in ["postgres://sprint:hunter2@db/sprint", "postgres://db/sprint?user=a&password=hunter2"] {
            let flags = Flags { database_url: Some(url.to_owned()), ..flags() };
            let error = Config::load(&flags).unwrap_err().to_string();
            assert!(error.contains("SPRINT_DATABASE_URL") && !error.contains("hunter2"), "{error}");
        }
        let flags = Flags { database_url: Some("postgres://sprint@db/sprint".to_owned()), ..flags() };
        assert!(Config::load(&flags).is_ok());
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
