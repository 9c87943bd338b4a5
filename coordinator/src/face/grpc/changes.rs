use std::sync::Arc;

use sprint_core::change::Change;
use sprint_core::ids::ChangeId;
use sprint_core::merge_queue::ChangeSeen;
use sprint_core::request::{ChangeFilter, GateRunRequest, LandRequest};
use sprint_core::view::TrialView;
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::page::fitting;
use super::status::{Messages, malformed, messages, of};
use crate::face::Face;
use crate::service::queue::{changes, landing};
use crate::service::watch;
use crate::service::{Page, explain_change};

#[tonic::async_trait]
impl v1::changes_server::Changes for Face {
    type RunGatesStream = Messages<v1::Trial>;

    async fn list(&self, request: Request<v1::ListChangesRequest>) -> Result<Response<v1::ChangeList>, Status> {
        let filter = ChangeFilter::try_from(request.into_inner()).map_err(of)?;
        let Page { rows, more } = changes::list(&self.sprint, &filter).await.map_err(of)?;
        let (changes, more) = fitting(self.with_standings(rows), more);
        Ok(Response::new(v1::ChangeList { changes, more }))
    }

    async fn get(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let id = ChangeId::new(request.into_inner().id);
        Ok(self.answer(changes::get(&self.sprint, id).await.map_err(of)?))
    }

    async fn explain(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::ChangeExplanation>, Status> {
        let id = ChangeId::new(request.into_inner().id);
        Ok(Response::new(explain_change(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn retry(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let by = caller(&request)?;
        let id = ChangeId::new(request.into_inner().id);
        Ok(self.answer(changes::retry(&self.sprint, id, by).await.map_err(of)?))
    }

    async fn drop(&self, request: Request<v1::DropChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let by = caller(&request)?;
        let v1::DropChangeRequest { id, reason } = request.into_inner();
        let reason = if reason.is_empty() { "dropped by the overseer".to_owned() } else { reason };
        Ok(self.answer(changes::discard(&self.sprint, ChangeId::new(id), reason, by).await.map_err(of)?))
    }

    async fn approve(&self, request: Request<v1::ApproveChangeRequest>) -> Result<Response<v1::Change>, Status> {
        let by = caller(&request)?;
        let v1::ApproveChangeRequest { id, reason } = request.into_inner();
        Ok(self.answer(changes::approve(&self.sprint, ChangeId::new(id), reason, by).await.map_err(of)?))
    }

    async fn graph(&self, request: Request<v1::RepoQueueRequest>) -> Result<Response<v1::Graph>, Status> {
        let repo = request.into_inner().repo.parse().map_err(malformed)?;
        let (queue, trials) = changes::graph(&self.sprint, &repo).await.map_err(of)?;
        let trials = trials.into_iter().map(|trial| TrialView::from(Arc::unwrap_or_clone(trial)).into()).collect();
        Ok(Response::new(v1::Graph {
            changes: self.with_standings(queue.into_iter().map(Arc::unwrap_or_clone).collect()),
            trials,
        }))
    }

    async fn why(&self, request: Request<v1::ChangeRequest>) -> Result<Response<v1::Decisions>, Status> {
        let id = ChangeId::new(request.into_inner().id);
        let events = changes::why(&self.sprint, id).await.map_err(of)?;
        Ok(Response::new(v1::Decisions { events: events.into_iter().map(Into::into).collect() }))
    }

    async fn gates(&self, request: Request<v1::RepoQueueRequest>) -> Result<Response<v1::GateRecords>, Status> {
        let repo = request.into_inner().repo.parse().map_err(malformed)?;
        let gates = changes::gates(&self.sprint, &repo).await.map_err(of)?;
        Ok(Response::new(v1::GateRecords { gates: gates.into_iter().map(Into::into).collect() }))
    }

    async fn land(&self, request: Request<v1::LandRequest>) -> Result<Response<v1::LandingReport>, Status> {
        let by = caller(&request)?;
        let land = LandRequest::try_from(request.into_inner()).map_err(of)?;
        Ok(Response::new(landing::submit(&self.sprint, land, by).await.map_err(of)?.into()))
    }

    async fn run_gates(&self, request: Request<v1::RunGatesRequest>) -> Result<Response<Self::RunGatesStream>, Status> {
        let by = caller(&request)?;
        let run = GateRunRequest::try_from(request.into_inner()).map_err(of)?;
        let trials = watch::gates(&self.sprint, run, by).await.map_err(of)?;
        Ok(Response::new(messages(trials, Into::into)))
    }
}

impl Face {
    fn with_standings(&self, changes: Vec<Change>) -> Vec<v1::Change> {
        let mut standings = changes::standings(&self.sprint, &changes);
        let seen = |change: Change| ChangeSeen { standing: standings.remove(&change.id), change };
        changes.into_iter().map(seen).map(Into::into).collect()
    }

    fn answer(&self, change: Change) -> Response<v1::Change> {
        let standing = changes::standings(&self.sprint, std::slice::from_ref(&change)).remove(&change.id);
        Response::new(ChangeSeen { change, standing }.into())
    }
}
