use clap::{Args, ValueEnum};

/// What the process writes to its standard error.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LogConfig {
    /// The format of log lines.
    #[arg(long, env = "SPRINT_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}
