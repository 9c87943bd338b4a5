use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::Coordinator;
use crate::service::fleet::leases;

/// The safety net; an outpost that goes away rings.
const TICK: Duration = Duration::from_mins(1);

pub(super) async fn run(sprint: Arc<Coordinator>, stop: CancellationToken) {
    loop {
        let pause = match leases::expire(&sprint).await {
            Ok(next) => next.unwrap_or(TICK),
            Err(error) => {
                tracing::error!(%error, "the supervisor failed");
                TICK / 60
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sprint.notices().supervisor.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
