use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::Coordinator;
use crate::service::backlog::pipeline;

/// The safety net; every item that is over rings.
const TICK: Duration = Duration::from_mins(1);

pub(super) async fn run(sprint: Arc<Coordinator>, stop: CancellationToken) {
    loop {
        if let Err(error) = pipeline::settle(&sprint).await {
            tracing::error!(%error, "the pipeline failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sprint.notices().pipeline.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}
