use clap::Args;

/// Bounds on connections and calls. The defaults hold 1,000 outposts behind one address, each with a connection for
/// control, one for logs and now and then one for git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct LimitsConfig {
    /// The most connections at one time.
    #[arg(long, env = "SPRINT_MAX_CONNECTIONS", value_name = "N", default_value_t = 8192)]
    pub max_connections: usize,
    /// The most connections from one address whose callers have shown no certificate.
    #[arg(long, env = "SPRINT_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = 1024)]
    pub max_connections_per_address: usize,
    /// The most connections with one certificate.
    #[arg(long, env = "SPRINT_MAX_CONNECTIONS_PER_CERTIFICATE", value_name = "N", default_value_t = 128)]
    pub max_connections_per_certificate: usize,
    /// The most calls under way over one connection.
    #[arg(long, env = "SPRINT_MAX_CALLS_PER_CONNECTION", value_name = "N", default_value_t = 256)]
    pub max_calls_per_connection: u32,
}
