use thiserror::Error;
use tracing_subscriber::util::TryInitError;

/// Why a daemon cannot say what it does.
#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error(
        "--otlp is set, and this program was built without it; build it with the cargo feature otlp, or unset --otlp"
    )]
    NotBuiltIn,
    #[cfg(feature = "otlp")]
    #[error("--otlp cannot be used: {0}")]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error(transparent)]
    Started(#[from] TryInitError),
}
