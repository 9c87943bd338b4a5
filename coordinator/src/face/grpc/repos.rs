use std::sync::Arc;

use sprint_core::explain::{DatedReason, ReasonView};
use sprint_core::request::{NewRepo, RepoPatch};
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::status::{malformed, of};
use crate::face::Face;
use crate::service::repos;
use crate::service::repos::Described;

fn answer(described: Described) -> Response<v1::RepoAnswer> {
    let Described { repo, tip, gates, notices } = described;
    let notices = notices.into_iter().map(|reason| ReasonView::from(DatedReason::from(reason))).collect::<Vec<_>>();
    Response::new(v1::RepoAnswer {
        repo: Some(repo.into()),
        tip: tip.map(Into::into),
        gates: gates.into_iter().map(Into::into).collect(),
        warnings: notices.iter().map(|notice| notice.message.clone()).collect(),
        notices: notices.into_iter().map(Into::into).collect(),
    })
}

#[tonic::async_trait]
impl v1::repos_server::Repos for Face {
    async fn add(&self, request: Request<v1::AddRepoRequest>) -> Result<Response<v1::RepoAnswer>, Status> {
        let by = caller(&request)?;
        let new = NewRepo::try_from(request.into_inner()).map_err(of)?;
        Ok(answer(repos::add(&self.sprint, new, by).await.map_err(of)?))
    }

    async fn list(&self, _: Request<v1::ListReposRequest>) -> Result<Response<v1::RepoList>, Status> {
        let repos = repos::list(&self.sprint);
        Ok(Response::new(v1::RepoList {
            repos: repos.into_iter().map(|repo| Arc::unwrap_or_clone(repo).into()).collect(),
        }))
    }

    async fn get(&self, request: Request<v1::RepoRequest>) -> Result<Response<v1::RepoAnswer>, Status> {
        let name = request.into_inner().name.parse().map_err(malformed)?;
        Ok(answer(repos::get(&self.sprint, &name).await.map_err(of)?))
    }

    async fn fetch(&self, request: Request<v1::RepoRequest>) -> Result<Response<v1::RepoAnswer>, Status> {
        let name = request.into_inner().name.parse().map_err(malformed)?;
        Ok(answer(repos::fetch(&self.sprint, &name).await.map_err(of)?))
    }

    async fn set(&self, request: Request<v1::SetRepoRequest>) -> Result<Response<v1::RepoAnswer>, Status> {
        let by = caller(&request)?;
        let patch = RepoPatch::try_from(request.into_inner()).map_err(of)?;
        Ok(answer(repos::set(&self.sprint, patch, by).await.map_err(of)?))
    }

    async fn remove(&self, request: Request<v1::RemoveRepoRequest>) -> Result<Response<v1::Repo>, Status> {
        let by = caller(&request)?;
        let v1::RemoveRepoRequest { name, force } = request.into_inner();
        let name = name.parse().map_err(malformed)?;
        Ok(Response::new(repos::remove(&self.sprint, name, force, by).await.map_err(of)?.into()))
    }
}
