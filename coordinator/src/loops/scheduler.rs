use std::sync::Arc;
use std::time::Duration;

use sprint_core::status::PassReason;
use tokio::sync::Notify;

use super::driver::{Loop, Next};
use crate::service::backlog::schedule;
use crate::service::{Coordinator, Notices};

/// Gives work to outposts.
pub(super) struct Scheduler;

impl Loop for Scheduler {
    const NAME: &'static str = "scheduler";
    /// Everything that frees work or slots notifies.
    const TICK: Duration = Duration::from_secs(30);

    fn woken_by(notices: &Notices) -> Option<&Notify> {
        Some(&notices.scheduler)
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        Ok(schedule::pass(sprint).await?.map_or(Next::AtTick, Next::After))
    }
}
