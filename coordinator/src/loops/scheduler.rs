use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::Coordinator;
use crate::service::backlog::schedule;

/// The safety net; everything that frees work or slots rings.
const TICK: Duration = Duration::from_secs(30);

/// The pause after a failed pass, so that a broken disk is not hammered.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

pub(super) async fn run(sprint: Arc<Coordinator>, stop: CancellationToken) {
    let mut wait = Duration::ZERO;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sprint.notices().scheduler.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = match schedule::pass(&sprint).await {
            Ok(paused) => paused.map_or(TICK, |pause| pause.min(TICK)),
            Err(error) => {
                tracing::error!(%error, "a pass of the scheduler failed");
                AFTER_FAILURE
            }
        };
    }
}
