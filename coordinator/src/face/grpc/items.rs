use std::time::Duration;

use sprint_core::ids::ItemId;
use sprint_core::item::StageName;
use sprint_core::refusal::At;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::status::{invalid, malformed, of, refuse, stopping};
use crate::face::Face;
use crate::service::ItemFilter;
use crate::service::backlog::items;
use crate::service::backlog::items::{Edit, NewItem};
use crate::service::backlog::wait;
use crate::service::backlog::wait::Waited;
use crate::service::explain_item;
use crate::service::repos::git_access;

fn new_item(new: v1::NewItem) -> Result<NewItem, Malformed> {
    let v1::NewItem {
        key,
        repo,
        kind,
        title,
        description,
        acceptance,
        priority,
        labels,
        requires,
        parent,
        needs,
        run,
        stage,
    } = new;
    Ok(NewItem {
        key: Some(key).filter(|key| !key.is_empty()),
        repo: repo.parse()?,
        kind: kind.parse()?,
        title,
        description,
        acceptance,
        priority: priority.parse()?,
        labels: labels.into_iter().collect(),
        requires: requires.into_iter().collect(),
        parent,
        needs,
        run,
        stage: stage.parse()?,
    })
}

fn list(items: Vec<sprint_core::item::Item>) -> v1::ItemList {
    v1::ItemList { items: items.into_iter().map(Into::into).collect() }
}

#[tonic::async_trait]
impl v1::items_server::Items for Face {
    async fn add(&self, request: Request<v1::AddItemsRequest>) -> Result<Response<v1::ItemList>, Status> {
        let by = caller(&request)?;
        let new = request.into_inner().items;
        let several = new.len() > 1;
        let mut items = Vec::with_capacity(new.len());
        for (index, item) in new.into_iter().enumerate() {
            let item = new_item(item).map_err(|error| {
                let refusal = invalid(error);
                refuse(&if several { refusal.at(At::Line(index as u64 + 1)) } else { refusal })
            });
            items.push(item?);
        }
        Ok(Response::new(list(items::add(&self.sprint, items, by).await.map_err(of)?)))
    }

    async fn list(&self, request: Request<v1::ListItemsRequest>) -> Result<Response<v1::ItemList>, Status> {
        let v1::ListItemsRequest { repo, stages, labels, parent, limit } = request.into_inner();
        let filter = ItemFilter {
            repo: repo.map(|name| name.parse()).transpose().map_err(malformed)?,
            stages: stages.iter().map(|stage| stage.parse()).collect::<Result<_, _>>().map_err(malformed)?,
            parent: parent.map(ItemId::new),
            limit: Some(limit).filter(|limit| *limit > 0),
        };
        Ok(Response::new(list(items::list(&self.sprint, &filter, &labels).await.map_err(of)?)))
    }

    async fn get(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::Item>, Status> {
        let id = ItemId::new(request.into_inner().id);
        Ok(Response::new(items::get(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn edit(&self, request: Request<v1::EditItemRequest>) -> Result<Response<v1::Item>, Status> {
        let by = caller(&request)?;
        let v1::EditItemRequest {
            id,
            title,
            description,
            priority,
            run,
            needs,
            set_needs,
            labels,
            set_labels,
            acceptance,
            set_acceptance,
            requires,
            set_requires,
        } = request.into_inner();
        let edit = Edit {
            title,
            description,
            priority: priority.map(|word| word.parse()).transpose().map_err(malformed)?,
            run,
            needs: set_needs.then(|| needs.into_iter().map(ItemId::new).collect()),
            labels: set_labels.then(|| labels.into_iter().collect()),
            acceptance: set_acceptance.then_some(acceptance),
            requires: set_requires.then(|| requires.into_iter().collect()),
        };
        Ok(Response::new(items::edit(&self.sprint, ItemId::new(id), edit, by).await.map_err(of)?.into()))
    }

    async fn ready(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::Item>, Status> {
        let by = caller(&request)?;
        let id = ItemId::new(request.into_inner().id);
        Ok(Response::new(items::ready(&self.sprint, id, by).await.map_err(of)?.into()))
    }

    async fn cancel(&self, request: Request<v1::CancelItemRequest>) -> Result<Response<v1::Item>, Status> {
        let by = caller(&request)?;
        let v1::CancelItemRequest { id, reason } = request.into_inner();
        let reason = if reason.is_empty() { "cancelled by the overseer".to_owned() } else { reason };
        Ok(Response::new(items::cancel(&self.sprint, ItemId::new(id), reason, by).await.map_err(of)?.into()))
    }

    async fn retry(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::Item>, Status> {
        let by = caller(&request)?;
        let id = ItemId::new(request.into_inner().id);
        Ok(Response::new(items::retry(&self.sprint, id, by).await.map_err(of)?.into()))
    }

    async fn explain(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::Explanation>, Status> {
        let id = ItemId::new(request.into_inner().id);
        Ok(Response::new(explain_item(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn kept(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::KeptList>, Status> {
        let id = ItemId::new(request.into_inner().id);
        let kept = git_access::kept(&self.sprint, id).await.map_err(of)?;
        Ok(Response::new(v1::KeptList { kept: kept.into_iter().map(Into::into).collect() }))
    }

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Result<Response<v1::WaitResponse>, Status> {
        let v1::WaitRequest { ids, stage, timeout_ms } = request.into_inner();
        let stage: StageName = stage.parse().map_err(malformed)?;
        let ids = ids.into_iter().map(ItemId::new).collect::<Vec<_>>();
        let limit = async {
            match timeout_ms {
                0 => std::future::pending().await,
                millis => tokio::time::sleep(Duration::from_millis(millis)).await,
            }
        };
        let answer = |result: &str, items: Vec<sprint_core::item::Item>, reason: String| v1::WaitResponse {
            result: result.to_owned(),
            items: items.into_iter().map(Into::into).collect(),
            reason,
        };
        let response = tokio::select! {
            () = self.stop.cancelled() => return Err(stopping()),
            waited = wait::until(&self.sprint, &ids, stage) => match waited.map_err(of)? {
                Waited::Reached { items } => answer("reached", items, String::new()),
                Waited::Impossible { items, reason } => answer("impossible", items, reason),
            },
            () = limit => {
                let mut now = Vec::with_capacity(ids.len());
                for id in ids {
                    now.push(items::get(&self.sprint, id).await.map_err(of)?);
                }
                answer("timeout", now, String::new())
            }
        };
        Ok(Response::new(response))
    }
}
