use sprint_core::ids::{ItemId, Seq};
use sprint_core::refusal::Code;
use sprint_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::status::{of, plain};
use crate::face::Face;
use crate::service::EventFilter;
use crate::service::operate::{backup, check, events, status};

/// Batches on their way to a slow reader; beyond this the record is read no faster than it reads.
const BATCHES: usize = 4;

/// Bytes of a backup in one message.
const CHUNK_BYTES: usize = 256 << 10;

#[tonic::async_trait]
impl v1::events_server::Events for Face {
    type TailStream = ReceiverStream<Result<v1::EventBatch, Status>>;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let v1::TailRequest { since, follow, item, limit, audit } = request.into_inner();
        let mut newest = self.sprint.notices().events();
        let mut since = since.map_or_else(|| *newest.borrow(), Seq::new);
        let item = item.map(ItemId::new);
        let mut left = if limit == 0 { u32::MAX } else { limit };
        let (sender, receiver) = mpsc::channel(BATCHES);
        let face = self.clone();
        self.tasks.spawn(async move {
            loop {
                newest.borrow_and_update();
                let page = match events::page(&face.sprint, EventFilter { since, item, audit, limit: left }).await {
                    Ok(page) => page,
                    Err(error) => {
                        // The send fails when the reader is gone, which is no error.
                        let _ = sender.send(Err(of(error))).await;
                        return;
                    }
                };
                if let Some(last) = page.last() {
                    since = last.seq;
                    left -= u32::try_from(page.len()).unwrap_or(left).min(left);
                    let batch = v1::EventBatch { events: page.into_iter().map(Into::into).collect() };
                    if sender.send(Ok(batch)).await.is_err() || left == 0 {
                        return;
                    }
                    continue;
                }
                if !follow {
                    return;
                }
                tokio::select! {
                    () = face.stop.cancelled() => return,
                    () = sender.closed() => return,
                    changed = newest.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl v1::system_server::System for Face {
    type BackupStream = ReceiverStream<Result<v1::BackupChunk, Status>>;

    async fn backup(&self, _: Request<v1::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let (sender, receiver) = mpsc::channel(BATCHES);
        // The archive is written by blocking calls, on a thread that may block.
        let (reader, out) = std::io::pipe().map_err(|error| of(error.into()))?;
        let reader = tokio::fs::File::from_std(std::os::fd::OwnedFd::from(reader).into());
        let sprint = std::sync::Arc::clone(&self.sprint);
        let writing = tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(backup::write(&sprint, out))
        });
        self.tasks.spawn(async move {
            let mut chunks = tokio_util::io::ReaderStream::with_capacity(reader, CHUNK_BYTES);
            while let Some(Ok(data)) = chunks.next().await {
                if sender.send(Ok(v1::BackupChunk { data })).await.is_err() {
                    return;
                }
            }
            let failed = match writing.await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => of(error),
                Err(error) => plain(Code::Internal, error),
            };
            // The send fails when the reader is gone, which is no error.
            let _ = sender.send(Err(failed)).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn check(&self, _: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        let check::Checked { items, workers, changes, events, violations } =
            check::check(&self.sprint).await.map_err(of)?;
        let (items, workers, changes) = (items as u64, workers as u64, changes as u64);
        Ok(Response::new(v1::CheckResponse { items, workers, changes, events, violations }))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(status::status(&self.sprint, &self.http_url).await.map_err(of)?.into()))
    }
}
