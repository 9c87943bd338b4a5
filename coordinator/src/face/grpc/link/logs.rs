//! Log bytes: appended where the file ends, acknowledged once they are on the disk.

use std::collections::HashMap;

use futures::FutureExt as _;
use sprint_core::ids::WorkerId;
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::super::status::of;
use super::{Link, expired, removed};
use crate::face::Face;
use crate::service::logs::OpenLog;
use crate::service::{ServiceError, audit, now, workers};

/// Acknowledgements on their way; one for each worker and batch.
const ACKS: usize = 256;

/// Bytes that share one fsync at most.
const BATCH_BYTES: usize = 4 << 20;

/// Files kept open by one stream.
const OPEN_LOGS: usize = 256;

pub(super) fn open(
    face: &Face,
    link: Link,
    input: Streaming<v1::LogChunk>,
) -> ReceiverStream<Result<v1::LogAck, Status>> {
    let (sender, receiver) = mpsc::channel(ACKS);
    let stream = Stream { face: face.clone(), link, open: HashMap::new(), sender };
    face.tasks.spawn(stream.run(input));
    ReceiverStream::new(receiver)
}

struct Stream {
    face: Face,
    link: Link,
    open: HashMap<WorkerId, OpenLog>,
    sender: mpsc::Sender<Result<v1::LogAck, Status>>,
}

impl Stream {
    async fn run(mut self, mut input: Streaming<v1::LogChunk>) {
        let stop = self.face.stop.clone();
        let link = self.link.clone();
        let end = link.expired();
        tokio::pin!(end);
        loop {
            let first = tokio::select! {
                () = stop.cancelled() => return,
                () = self.sender.closed() => return,
                () = &mut end => {
                    // The outpost may be gone; then nobody is left to be told.
                    let _ = self.sender.send(Err(expired())).await;
                    return;
                }
                message = input.message() => match message {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) | Err(_) => return,
                },
            };
            if !self.link.is_member(&self.face.sprint) {
                let _ = self.sender.send(Err(removed())).await;
                return;
            }
            let mut bytes = first.data.len();
            let mut batch = vec![first];
            while bytes < BATCH_BYTES
                && let Some(Ok(Some(chunk))) = input.message().now_or_never()
            {
                bytes += chunk.data.len();
                batch.push(chunk);
            }
            if let Err(status) = self.take(batch).await {
                tracing::warn!(%status, "a log stream failed; its outpost sends again what was not acknowledged");
                // The outpost may be gone; then nobody is left to be told.
                let _ = self.sender.send(Err(status)).await;
                return;
            }
        }
    }

    async fn take(&mut self, batch: Vec<v1::LogChunk>) -> Result<(), Status> {
        if self.open.len() > OPEN_LOGS {
            self.open.clear();
        }
        let mut acks = Vec::new();
        for chunk in &batch {
            let id = WorkerId::new(chunk.worker);
            if !self.open.contains_key(&id) {
                match workers::get(&self.face.sprint, id).await {
                    Ok(worker) if worker.outpost == self.link.outpost => {}
                    // Nor for another's: an outpost writes what its own workers print.
                    Ok(_) => {
                        let why = format!("worker {id} is not one of this outpost's");
                        audit::refused(&self.face.sprint, self.link.caller.clone(), "Link/Logs", &why).await;
                        acks.push(v1::LogAck { worker: id.get(), durable: chunk.offset + chunk.data.len() as u64 });
                        continue;
                    }
                    // No file for a worker that is not on record; one such must not hold up the
                    // others' logs, so its bytes count as taken.
                    Err(ServiceError::NotFound(why)) => {
                        tracing::warn!(worker = %id, why, "log bytes of an unknown worker were passed over");
                        acks.push(v1::LogAck { worker: id.get(), durable: chunk.offset + chunk.data.len() as u64 });
                        continue;
                    }
                    Err(error) => return Err(of(error)),
                }
                let log = self.face.sprint.logs.append(id).map_err(|error| of(error.into()))?;
                self.open.insert(id, log);
            }
        }
        let open = &mut self.open;
        let synced = tokio::task::block_in_place(|| {
            let now = now();
            let mut touched = Vec::new();
            for chunk in batch {
                let id = WorkerId::new(chunk.worker);
                if let Some(log) = open.get_mut(&id) {
                    log.write(chunk.offset, &chunk.data, now)?;
                    if !touched.contains(&id) {
                        touched.push(id);
                    }
                }
            }
            let mut acks = Vec::with_capacity(touched.len());
            for id in touched {
                if let Some(log) = open.get_mut(&id) {
                    log.sync()?;
                    acks.push(v1::LogAck { worker: id.get(), durable: log.durable() });
                }
            }
            Ok(acks)
        })
        .map_err(|error: std::io::Error| of(error.into()))?;
        acks.extend(synced);
        for ack in acks {
            if self.sender.send(Ok(ack)).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
