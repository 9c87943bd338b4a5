use sprint_core::ids::{ChangeId, ItemId};
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::status::{malformed, of};
use crate::face::Face;
use crate::service::{ChangeFilter, changes};

#[tonic::async_trait]
impl v1::changes_server::Changes for Face {
    async fn list(&self, request: Request<v1::ListChangesRequest>) -> Result<Response<v1::ChangeList>, Status> {
        let v1::ListChangesRequest { repo, item, pending, limit } = request.into_inner();
        let filter = ChangeFilter {
            repo: repo.map(|name| name.parse()).transpose().map_err(malformed)?,
            item: item.map(ItemId::new),
            pending,
            limit: Some(limit).filter(|limit| *limit > 0),
        };
        let changes = changes::list(&self.sprint, &filter).await.map_err(of)?;
        Ok(Response::new(v1::ChangeList { changes: changes.into_iter().map(Into::into).collect() }))
    }

    async fn get(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let id = ChangeId::new(request.into_inner().id);
        Ok(Response::new(changes::get(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn explain(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::ChangeExplanation>, Status> {
        let id = ChangeId::new(request.into_inner().id);
        Ok(Response::new(changes::explain(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn retry(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let by = caller(&request)?;
        let id = ChangeId::new(request.into_inner().id);
        Ok(Response::new(changes::retry(&self.sprint, id, by).await.map_err(of)?.into()))
    }

    async fn drop(&self, request: Request<v1::DropChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let by = caller(&request)?;
        let v1::DropChangeRequest { id, reason } = request.into_inner();
        let reason = if reason.is_empty() { "dropped by the overseer".to_owned() } else { reason };
        Ok(Response::new(changes::discard(&self.sprint, ChangeId::new(id), reason, by).await.map_err(of)?.into()))
    }
}
