use clap::Args;
use sprint_telemetry::{CollectorUrl, LogFormat};

/// What the process says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LogConfig {
    /// The format of log lines.
    #[arg(long, env = "SPRINT_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// A collector that gets spans by OTLP over gRPC, such as `http://localhost:4317`; by default none are made.
    #[arg(long, env = "SPRINT_OTLP", value_name = "URL")]
    pub otlp: Option<CollectorUrl>,
}
