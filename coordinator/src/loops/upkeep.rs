use std::sync::Arc;
use std::time::Duration;

use sprint_core::status::PassReason;
use tokio::sync::Notify;

use super::driver::{Loop, Next};
use crate::metrics;
use crate::service::{Coordinator, Notices};

/// Keeps what was measured from growing in memory.
pub(super) struct Upkeep;

impl Loop for Upkeep {
    const NAME: &'static str = "upkeep";
    const TICK: Duration = Duration::from_secs(5);

    fn woken_by(_: &Notices) -> Option<&Notify> {
        None
    }

    async fn pass(&mut self, _: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        metrics::settle();
        Ok(Next::AtTick)
    }
}
