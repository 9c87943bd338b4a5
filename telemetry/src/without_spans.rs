//! In place of the spans, where they were left out of the build.

use std::future::Ready;
use std::time::Duration;

use crate::error::TelemetryError;
use crate::lines::BoxedLayer;
use crate::url::CollectorUrl;

#[derive(Debug)]
pub(crate) struct Spans;

#[expect(clippy::unused_self, reason = "as with spans")]
impl Spans {
    pub(crate) const fn start(_: &'static str, collector: Option<&CollectorUrl>) -> Result<Self, TelemetryError> {
        match collector {
            Some(_) => Err(TelemetryError::NotBuiltIn),
            None => Ok(Self),
        }
    }

    pub(crate) const fn layer(&self, _: &'static str) -> Option<BoxedLayer> {
        None
    }

    pub(crate) fn finish(self, _: Duration) -> Ready<()> {
        std::future::ready(())
    }
}
