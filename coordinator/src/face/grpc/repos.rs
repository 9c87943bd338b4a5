use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sprint_core::address::RepoAddress;
use sprint_core::assignment::Runtime;
use sprint_core::explain::{DatedReason, ReasonView};
use sprint_core::gates::Gate;
use sprint_core::job::Role;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::text::UnknownWord;
use sprint_proto::convert::{Malformed, by_role};
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::status::{malformed, of, refuse};
use crate::face::Face;
use crate::service::repos;
use crate::service::repos::{Described, NewRepo, RepoPatch, Running};

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

fn of_wire(gates: Vec<v1::Gate>) -> Result<Vec<Gate>, Status> {
    gates.into_iter().map(|gate| gate.try_into().map_err(malformed)).collect()
}

fn running(
    resume: Option<String>,
    max_duration_ms: Option<u64>,
    hung_after_ms: Option<u64>,
) -> Result<Running, Status> {
    Ok(Running {
        resume: resume.map(|word| word.parse()).transpose().map_err(|error: UnknownWord| malformed(error))?,
        max_duration: max_duration_ms.map(Duration::from_millis),
        hung_after: hung_after_ms.map(|limit| Some(Duration::from_millis(limit)).filter(|limit| !limit.is_zero())),
    })
}

#[tonic::async_trait]
impl v1::repos_server::Repos for Face {
    async fn add(&self, request: Request<v1::AddRepoRequest>) -> Result<Response<v1::RepoAnswer>, Status> {
        let by = caller(&request)?;
        let v1::AddRepoRequest {
            name,
            url,
            branch,
            run,
            max_attempts,
            limits,
            gates,
            resume,
            max_duration_ms,
            hung_after_ms,
        } = request.into_inner();
        let new = NewRepo {
            name: name.parse().map_err(malformed)?,
            url: RepoAddress::new(url)
                .map_err(|error| refuse(&Refusal::new(Code::RequestInvalid, error).field("url")))?,
            branch: Some(branch).filter(|branch| !branch.is_empty()),
            run: by_role(run).map_err(malformed)?,
            max_attempts: Some(max_attempts).filter(|max| *max > 0),
            limits: by_role(limits).map_err(malformed)?,
            gates: of_wire(gates)?,
            running: running(resume, max_duration_ms, hung_after_ms)?,
        };
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

    async fn set(&self, request: Request<v1::SetRepoRequest>) -> Result<Response<v1::RepoAnswer>, Status> {
        let by = caller(&request)?;
        let v1::SetRepoRequest {
            name,
            run,
            runtimes,
            max_attempts,
            limits,
            gates,
            set_gates,
            resume,
            halt,
            resume_from,
            max_duration_ms,
            hung_after_ms,
            freeze,
        } = request.into_inner();
        let runtimes = by_role(runtimes)
            .and_then(|runtimes| {
                runtimes
                    .into_iter()
                    .map(|(role, runtime)| Ok((role, runtime.try_into()?)))
                    .collect::<Result<BTreeMap<Role, Runtime>, Malformed>>()
            })
            .map_err(malformed)?;
        let change = RepoPatch {
            run: by_role(run).map_err(malformed)?,
            runtimes,
            max_attempts,
            limits: by_role(limits).map_err(malformed)?,
            gates: set_gates.then(|| of_wire(gates)).transpose()?,
            running: running(resume_from, max_duration_ms, hung_after_ms)?,
            halted: halt.map(Some).or_else(|| resume.then_some(None)),
            frozen: freeze.map(Some).or_else(|| resume.then_some(None)),
        };
        let name = name.parse().map_err(malformed)?;
        Ok(answer(repos::set(&self.sprint, name, change, by).await.map_err(of)?))
    }

    async fn remove(&self, request: Request<v1::RemoveRepoRequest>) -> Result<Response<v1::Repo>, Status> {
        let by = caller(&request)?;
        let v1::RemoveRepoRequest { name, force } = request.into_inner();
        let name = name.parse().map_err(malformed)?;
        Ok(Response::new(repos::remove(&self.sprint, name, force, by).await.map_err(of)?.into()))
    }
}
