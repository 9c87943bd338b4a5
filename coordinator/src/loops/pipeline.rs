use std::sync::Arc;
use std::time::Duration;

use sprint_core::status::PassReason;
use tokio::sync::Notify;

use super::driver::{Loop, Next};
use crate::service::backlog::pipeline;
use crate::service::{Coordinator, Notices};

/// Closes containers whose items are over.
pub(super) struct Pipeline;

impl Loop for Pipeline {
    const NAME: &'static str = "pipeline";
    /// Every item that is over notifies.
    const TICK: Duration = Duration::from_mins(1);

    fn woken_by(notices: &Notices) -> Option<&Notify> {
        Some(&notices.pipeline)
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        pipeline::settle(sprint).await?;
        Ok(Next::AtTick)
    }
}
