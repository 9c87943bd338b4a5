use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::admission::{audit, local_admin};
use crate::service::{Coordinator, LocalAdmin, now};

/// How often certificates, this host's addresses and counted refusals are looked at.
const TICK: Duration = Duration::from_secs(20);

pub(super) async fn run(sprint: Arc<Coordinator>, local: LocalAdmin, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(TICK) => {}
        }
        match sprint.certificates.refresh(now()) {
            Ok(true) => {
                tracing::info!(names = ?sprint.certificates.names(), "another certificate is shown from now on");
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the certificate cannot be renewed"),
        }
        if let Err(error) = local_admin::ensure(&sprint, &local.data_dir, &local.address).await {
            tracing::error!(%error, "the local admin's context cannot be kept up to date");
        }
        audit::settle(&sprint).await;
    }
    audit::settle(&sprint).await;
}
