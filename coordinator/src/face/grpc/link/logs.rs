//! The stream of an outpost's logs: frames in, acknowledgements out.

use futures::FutureExt as _;
use sprint_core::ids::WorkerId;
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::super::status::of;
use super::call::{Link, expired, record, removed};
use crate::face::Face;
use crate::service::admission::access;
use crate::service::fleet::log_intake::{BATCH_BYTES, IDLE, LogAck, LogIntake};
use crate::service::fleet::logs::LogChunk;

/// Acknowledgements on their way; one for each worker and batch.
const ACKS: usize = 256;

pub(super) fn open(
    face: &Face,
    link: Link,
    input: Streaming<v1::LogChunk>,
) -> ReceiverStream<Result<v1::LogAck, Status>> {
    let (sender, receiver) = mpsc::channel(ACKS);
    let intake = LogIntake::new(link.outpost.clone(), link.caller.clone());
    let stream = Stream { face: face.clone(), link, intake, sender };
    face.sprint.tasks.spawn(stream.run(input));
    ReceiverStream::new(receiver)
}

struct Stream {
    face: Face,
    link: Link,
    intake: LogIntake,
    sender: mpsc::Sender<Result<v1::LogAck, Status>>,
}

impl Stream {
    async fn run(mut self, mut input: Streaming<v1::LogChunk>) {
        let stop = self.face.sprint.stop.clone();
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
                () = tokio::time::sleep(IDLE), if self.intake.is_open() => {
                    self.intake.close_idle();
                    continue;
                }
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
            let mut batch = vec![chunk(first)];
            while bytes < BATCH_BYTES
                && let Some(Ok(Some(next))) = input.message().now_or_never()
            {
                bytes += next.data.len();
                batch.push(chunk(next));
            }
            let acks = match self.intake.take(&self.face.sprint, batch).await {
                Ok(acks) => acks,
                Err(error) => {
                    tracing::warn!(%error, "a log stream failed; its outpost sends again what was not acknowledged");
                    return self.end(of(error)).await;
                }
            };
            for LogAck { worker, durable } in acks {
                // The outpost may be gone, which the next turn sees.
                if self.sender.send(Ok(v1::LogAck { worker: worker.get(), durable })).await.is_err() {
                    break;
                }
            }
        }
    }

    /// Ends the stream for a reason.
    async fn end(self, status: Status) {
        record(&self.face, &self.link, "Link/Logs", &status).await;
        // The send fails when the outpost is gone, which is no error.
        let _ = self.sender.send(Err(status)).await;
    }
}

fn chunk(chunk: v1::LogChunk) -> LogChunk {
    let v1::LogChunk { worker, offset, data } = chunk;
    LogChunk { worker: WorkerId::new(worker), offset, data }
}
