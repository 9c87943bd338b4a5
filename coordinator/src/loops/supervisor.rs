use std::sync::Arc;
use std::time::Duration;

use sprint_core::status::PassReason;
use tokio::sync::Notify;

use super::driver::{Loop, Next};
use crate::service::fleet::leases;
use crate::service::{Coordinator, Notices};

/// Ends the leases of outposts that stay away.
pub(super) struct Supervisor;

impl Loop for Supervisor {
    const NAME: &'static str = "supervisor";
    /// An outpost that goes away notifies.
    const TICK: Duration = Duration::from_mins(1);

    fn woken_by(notices: &Notices) -> Option<&Notify> {
        Some(&notices.supervisor)
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        Ok(leases::expire(sprint).await?.map_or(Next::AtTick, Next::After))
    }
}
