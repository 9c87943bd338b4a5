use std::time::Duration;

use clap::Args;
use sprint_core::price::PriceTable;

use super::values::{duration, duration_above_zero, prices};

/// What outposts are held to.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FleetConfig {
    /// The time for which a cut-off outpost keeps its work before another outpost gets it.
    #[arg(long, env = "SPRINT_DISCONNECT_GRACE", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub disconnect_grace: Duration,
    /// The interval at which outposts deliver the uncommitted work of their workers; 0s: only when a worker ends.
    #[arg(long, env = "SPRINT_SNAPSHOT_EVERY", value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub snapshot_every: Duration,
    /// The interval of an outpost's heartbeats.
    #[arg(long, env = "SPRINT_HEARTBEAT", value_name = "DURATION", default_value = "5s", value_parser = duration_above_zero)]
    pub heartbeat: Duration,
    /// The validity of an outpost's certificate. It is renewed long before its end while the outpost is connected;
    /// an outpost that was off for longer needs a new token.
    #[arg(long, env = "SPRINT_OUTPOST_CERT_TTL", value_name = "DURATION", default_value = "7d", value_parser = duration_above_zero)]
    pub outpost_cert_ttl: Duration,
    /// For how long the work of attempts is kept after their item is done or cancelled: commits, uncommitted changes, and
    /// what else they left. The work of other items stays.
    #[arg(long, env = "SPRINT_KEEP_WORK", value_name = "DURATION", default_value = "30d", value_parser = duration_above_zero)]
    pub keep_work: Duration,
    /// The largest push that is accepted from an outpost, in MiB.
    #[arg(long, env = "SPRINT_MAX_PUSH_MIB", value_name = "MIB", default_value_t = 2048)]
    pub max_push_mib: u64,
    /// The TOML file with the prices of models, for agents that name no cost.
    #[arg(long, env = "SPRINT_PRICES", value_name = "FILE", value_parser = prices)]
    pub prices: Option<PriceTable>,
}

impl FleetConfig {
    pub const fn max_push_bytes(&self) -> u64 {
        self.max_push_mib.saturating_mul(1 << 20)
    }
}

impl Default for FleetConfig {
    fn default() -> Self {
        sprint_settings::defaults()
    }
}
