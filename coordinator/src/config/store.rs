use clap::Args;

/// Where the record is kept.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct StoreConfig {
    /// A PostgreSQL database for the record, `postgres://…`; by default SQLite in the data directory. A URL with a
    /// password is accepted from the variable and from the file only.
    #[arg(long, env = "SPRINT_DATABASE_URL", value_name = "URL", hide_env_values = true, hide_default_value = true)]
    pub database_url: Option<String>,
}

/// Whether a URL is of the form `scheme://user:password@host`, or has the password as a parameter.
pub(super) fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || url.contains("password=")
}
