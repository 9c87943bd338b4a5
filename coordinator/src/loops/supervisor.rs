use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::{Sprint, outposts};

/// How often leases of outposts that are away are looked at: far below any grace.
const TICK: Duration = Duration::from_secs(5);

pub(super) async fn run(sprint: Arc<Sprint>, stop: CancellationToken) {
    loop {
        if let Err(error) = outposts::expire(&sprint).await {
            tracing::error!(%error, "the supervisor failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}
