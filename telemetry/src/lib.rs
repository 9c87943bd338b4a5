//! What a daemon says of itself: log lines on standard error and, where a collector is named, spans.
//!
//! Spans are off unless a collector is named: then a span that is not wanted costs one load of an atomic.

mod error;
mod lines;
#[cfg_attr(not(feature = "otlp"), path = "without_spans.rs")]
mod spans;
mod url;

use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use error::TelemetryError;
pub use lines::LogFormat;
pub use url::CollectorUrl;

/// What was started, to be finished.
#[must_use = "spans that are not sent yet are sent by `finish`"]
#[derive(Debug)]
pub struct Telemetry(spans::Spans);

impl Telemetry {
    /// Starts the log of `program`, and its spans to `collector`. Call it on a tokio runtime.
    ///
    /// A collector that is away hinders nothing: its spans are dropped.
    ///
    /// # Errors
    /// [`TelemetryError::NotBuiltIn`] for a collector where spans were left out of the build.
    pub fn start(
        program: &'static str,
        format: LogFormat,
        collector: Option<&CollectorUrl>,
    ) -> Result<Self, TelemetryError> {
        let spans = spans::Spans::start(program, collector)?;
        let layers = spans.layer(program).into_iter().chain([lines::layer(format)]).collect::<Vec<_>>();
        tracing_subscriber::registry().with(layers).try_init()?;
        Ok(Self(spans))
    }

    /// Sends the spans that are not sent yet, for at most this time. Call it while the runtime runs.
    pub async fn finish(self, limit: Duration) {
        self.0.finish(limit).await;
    }
}

#[cfg(all(test, not(feature = "otlp")))]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_refused_where_spans_were_left_out_of_the_build() {
        let url = "http://localhost:4317".parse().expect("is a collector's");
        let refused = Telemetry::start("test", LogFormat::Text, Some(&url)).expect_err("is refused").to_string();
        assert!(refused.contains("--otlp") && refused.contains("feature otlp"), "{refused}");
    }
}
