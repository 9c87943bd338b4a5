use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sprint_core::ids::WorkerId;
use sprint_core::request::LogRange;
use sprint_core::time::Timestamp;
use sprint_core::worker::Worker;

use super::stream::{EarlyEnd, Reader, Values, stream};
use crate::service::fleet::logs::LogChunk;
use crate::service::fleet::workers;
use crate::service::{Coordinator, ServiceError, now};

/// Chunks on their way to a slow reader, of up to 256 KiB each.
const CHUNKS: usize = 4;

/// How long the rest of a lost worker's log is waited for: it may never come.
const REST: Duration = Duration::from_secs(2);

/// A worker's log; with `follow`, until the worker has ended and all of it has arrived.
///
/// # Errors
/// There is no such worker, or what the file system says.
pub async fn log(sprint: &Arc<Coordinator>, range: LogRange) -> Result<Values<LogChunk>, ServiceError> {
    let LogRange { worker, mut offset, since, follow } = range;
    workers::get(sprint, worker).await?;
    if let Some(since) = since {
        let since = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let time = Timestamp::from_millis(now().as_millis().saturating_sub(since));
        offset = offset.max(sprint.logs.offset_at(worker, time)?);
    }
    let record = Arc::clone(sprint);
    Ok(stream(sprint, CHUNKS, move |reader| async move { send(&record, worker, offset, follow, &reader).await }))
}

async fn send(
    sprint: &Coordinator,
    id: WorkerId,
    mut offset: u64,
    follow: bool,
    reader: &Reader<LogChunk>,
) -> Result<(), EarlyEnd> {
    let mut size = sprint.logs.follow(id);
    let mut events = sprint.notices().events();
    loop {
        size.borrow_and_update();
        events.borrow_and_update();
        let worker = workers::get(sprint, id).await?;
        loop {
            let logs = Arc::clone(&sprint.logs);
            let read = tokio::task::spawn_blocking(move || logs.read(id, offset)).await;
            let data = read.map_err(std::io::Error::from)??;
            if data.is_empty() {
                break;
            }
            let length = data.len() as u64;
            reader.send(LogChunk { worker: id, offset, data: Bytes::from(data) }).await?;
            offset += length;
        }
        let is_live = worker.state.is_live();
        if !follow || is_whole(&worker, offset) {
            return Ok(());
        }
        let more = async {
            tokio::select! {
                _ = size.changed() => true,
                // Any event may be the worker's end; they are rare beside log bytes.
                _ = events.changed(), if is_live => true,
                () = tokio::time::sleep(REST), if !is_live => false,
            }
        };
        if !reader.wait(more).await? {
            return Ok(());
        }
    }
}

/// Whether nothing more will come.
fn is_whole(worker: &Worker, offset: u64) -> bool {
    !worker.state.is_live() && worker.log_bytes.is_some_and(|bytes| offset >= bytes)
}
