//! Log bytes: appended where the file ends, acknowledged once they are on the disk.

use std::collections::HashMap;

use futures::FutureExt as _;
use sprint_core::ids::WorkerId;
use sprint_core::refusal::Code;
use sprint_failpoint::{Point, pass};
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::super::status::of;
use super::call::{Link, expired, record, removed};
use crate::face::Face;
use crate::service::admission::{access, audit};
use crate::service::fleet::logs::OpenLog;
use crate::service::fleet::workers;
use crate::service::now;

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
        let mut changes = access::changes(&self.face.sprint);
        loop {
            changes.borrow_and_update();
            if !self.link.is_member(&self.face.sprint) {
                return self.end(removed()).await;
            }
            let first = tokio::select! {
                () = stop.cancelled() => return,
                () = self.sender.closed() => return,
                () = &mut end => return self.end(expired()).await,
                _ = changes.changed() => continue,
                message = input.message() => match message {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) | Err(_) => return,
                },
            };
            if !self.link.is_member(&self.face.sprint) {
                return self.end(removed()).await;
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
                return self.end(status).await;
            }
        }
    }

    /// Ends the stream for a reason.
    async fn end(self, status: Status) {
        record(&self.face, &self.link, "Link/Logs", &status).await;
        // The send fails when the outpost is gone, which is no error.
        let _ = self.sender.send(Err(status)).await;
    }

    async fn take(&mut self, batch: Vec<v1::LogChunk>) -> Result<(), Status> {
        if self.open.len() > OPEN_LOGS {
            self.open.clear();
        }
        let mut acks = Vec::new();
        for chunk in &batch {
            let id = WorkerId::new(chunk.worker);
            if !self.open.contains_key(&id) {
                // An outpost writes what its own workers print. One chunk that is for none of them must not hold
                // up the others, so its bytes count as taken.
                let why = match workers::get(&self.face.sprint, id).await {
                    Ok(worker) if worker.outpost == self.link.outpost => None,
                    Ok(_) => Some(format!("worker {id} is not one of this outpost's")),
                    Err(error) if error.code() == Code::WorkerNotFound => Some(error.to_string()),
                    Err(error) => return Err(of(error)),
                };
                if let Some(why) = why {
                    audit::refused(&self.face.sprint, self.link.caller.clone(), "Link/Logs", &why).await;
                    let durable = chunk.offset.saturating_add(chunk.data.len() as u64);
                    acks.push(v1::LogAck { worker: id.get(), durable });
                    continue;
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
                    pass(Point::LogWritten);
                    log.sync()?;
                    acks.push(v1::LogAck { worker: id.get(), durable: log.durable() });
                }
            }
            Ok(acks)
        })
        .map_err(|error: std::io::Error| of(error.into()))?;
        pass(Point::LogSynced);
        acks.extend(synced);
        for ack in acks {
            if self.sender.send(Ok(ack)).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
