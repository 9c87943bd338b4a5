//! Spans, in batches, to a collector by OTLP over gRPC.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter as Exporter};
use tokio::sync::oneshot;
use tracing::Metadata;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};

use crate::error::TelemetryError;
use crate::lines::BoxedLayer;
use crate::url::CollectorUrl;

/// How long a batch may take; a collector that is slower counts as away.
const EXPORT_LIMIT: Duration = Duration::from_secs(3);

/// The spans on their way to a collector, if there is one.
#[derive(Debug)]
pub(crate) struct Spans(Option<SdkTracerProvider>);

impl Spans {
    /// Connects when there is something to send. A thread of its own sends; when its queue is full, spans are dropped.
    pub(crate) fn start(program: &'static str, collector: Option<&CollectorUrl>) -> Result<Self, TelemetryError> {
        let Some(collector) = collector else { return Ok(Self(None)) };
        let inner = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(collector.as_str())
            .with_timeout(EXPORT_LIMIT)
            .build()?;
        let exporter = LoggedExporter { inner, collector: collector.clone(), is_away: AtomicBool::new(false) };
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name(program).with_attribute(version).build();
        let processor = BatchSpanProcessor::builder(exporter).build();
        let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(processor).build();
        Ok(Self(Some(provider)))
    }

    /// Takes our own spans, up to level debug; those of libraries, which also send these, would have no end.
    pub(crate) fn layer(&self, program: &'static str) -> Option<BoxedLayer> {
        let tracer = self.0.as_ref()?.tracer(program);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_threads(false)
            .with_location(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_our_span).with_max_level_hint(LevelFilter::DEBUG))
            .boxed();
        Some(layer)
    }

    /// Sends what is left, on a thread that may block for longer than the caller waits.
    pub(crate) async fn finish(self, limit: Duration) {
        let Some(provider) = self.0 else { return };
        let (ended, end) = oneshot::channel();
        let thread = std::thread::Builder::new().name("spans".to_owned()).spawn(move || {
            // The receiver is gone when this took too long.
            let _ = ended.send(provider.shutdown_with_timeout(limit));
        });
        if thread.is_err() || !matches!(tokio::time::timeout(limit, end).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the last spans did not reach the collector in time");
        }
    }
}

fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && ["coordinator", "outpost_agent", "sprint_"].iter().any(|ours| metadata.target().starts_with(ours))
}

/// Sends spans, and logs once when the collector goes away and once when it is back.
#[derive(Debug)]
struct LoggedExporter {
    inner: SpanExporter,
    collector: CollectorUrl,
    is_away: AtomicBool,
}

impl Exporter for LoggedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.inner.export(batch).await;
        let was_away = self.is_away.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !was_away => {
                tracing::warn!(collector = %self.collector, %error, "the collector takes no spans; they are dropped");
            }
            Ok(()) if was_away => tracing::info!(collector = %self.collector, "the collector takes spans again"),
            Ok(()) | Err(_) => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
