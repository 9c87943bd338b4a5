use sprint_core::event::Event;
use sprint_core::request::EventTail;
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::status::{Messages, messages, of};
use crate::face::Face;
use crate::service::operate::{backup, check, status};
use crate::service::watch;

#[tonic::async_trait]
impl v1::events_server::Events for Face {
    type TailStream = Messages<v1::EventBatch>;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let batches = watch::events(&self.sprint, EventTail::from(request.into_inner()));
        let encode = |batch: Vec<Event>| v1::EventBatch { events: batch.into_iter().map(Into::into).collect() };
        Ok(Response::new(messages(batches, encode)))
    }
}

#[tonic::async_trait]
impl v1::system_server::System for Face {
    type BackupStream = Messages<v1::BackupChunk>;

    async fn backup(&self, _: Request<v1::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let pieces = backup::pieces(&self.sprint).map_err(of)?;
        Ok(Response::new(messages(pieces, |data| v1::BackupChunk { data })))
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
