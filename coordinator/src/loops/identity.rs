use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sprint_core::status::PassReason;
use tokio::sync::Notify;

use super::driver::{Loop, Next};
use crate::service::admission::{audit, local_admin};
use crate::service::{Coordinator, LocalAdmin, Notices, now};

/// Renews certificates, follows this host's addresses, and records counted refusals.
pub(super) struct Identity {
    pub(super) local: LocalAdmin,
}

impl Loop for Identity {
    const NAME: &'static str = "identity";
    const TICK: Duration = Duration::from_secs(20);
    const AFTER_FAILURE: Duration = Self::TICK;

    fn woken_by(_: &Notices) -> Option<&Notify> {
        None
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        let refreshed = sprint.certificates.refresh(now()).context("the certificate cannot be renewed");
        if matches!(refreshed, Ok(true)) {
            tracing::info!(names = ?sprint.certificates.names(), "another certificate is presented from now on");
        }
        let admin = local_admin::ensure(sprint, &self.local.data_dir, &self.local.address).await;
        audit::settle(sprint).await;
        refreshed?;
        admin.context("the local admin's context cannot be kept up to date")?;
        Ok(Next::AtTick)
    }

    async fn end(&mut self, sprint: &Arc<Coordinator>) {
        audit::settle(sprint).await;
    }
}
