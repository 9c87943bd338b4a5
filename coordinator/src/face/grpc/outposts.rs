use sprint_core::request::OutpostPatch;
use sprint_proto::convert::millis;
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::status::{malformed, of};
use crate::face::Face;
use crate::service::fleet::outposts;

#[tonic::async_trait]
impl v1::outposts_server::Outposts for Face {
    async fn list(&self, _: Request<v1::ListOutpostsRequest>) -> Result<Response<v1::OutpostList>, Status> {
        let outposts = outposts::list(&self.sprint);
        let outposts = outposts
            .into_iter()
            .map(|status| v1::OutpostStatus {
                outpost: Some(status.outpost.into()),
                active_workers: status.active_workers,
                load: status.load.map(Into::into),
                lapses_in_ms: status.lapses_in.map(millis),
            })
            .collect();
        Ok(Response::new(v1::OutpostList { outposts }))
    }

    async fn drain(&self, request: Request<v1::OutpostRequest>) -> Result<Response<v1::Outpost>, Status> {
        let by = caller(&request)?;
        let name = request.into_inner().name.parse().map_err(malformed)?;
        let outpost = outposts::set_draining(&self.sprint, name, true, by).await.map_err(of)?;
        Ok(Response::new(outpost.into()))
    }

    async fn resume(&self, request: Request<v1::OutpostRequest>) -> Result<Response<v1::Outpost>, Status> {
        let by = caller(&request)?;
        let name = request.into_inner().name.parse().map_err(malformed)?;
        let outpost = outposts::set_draining(&self.sprint, name, false, by).await.map_err(of)?;
        Ok(Response::new(outpost.into()))
    }

    async fn set(&self, request: Request<v1::SetOutpostRequest>) -> Result<Response<v1::Outpost>, Status> {
        let by = caller(&request)?;
        let patch = OutpostPatch::try_from(request.into_inner()).map_err(of)?;
        Ok(Response::new(outposts::set(&self.sprint, patch, by).await.map_err(of)?.into()))
    }

    async fn remove(&self, request: Request<v1::RemoveOutpostRequest>) -> Result<Response<v1::Outpost>, Status> {
        let by = caller(&request)?;
        let v1::RemoveOutpostRequest { name, force } = request.into_inner();
        let name = name.parse().map_err(malformed)?;
        Ok(Response::new(outposts::remove(&self.sprint, name, force, by).await.map_err(of)?.into()))
    }
}
