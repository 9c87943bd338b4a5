use sprint_core::ids::ItemId;
use sprint_core::item::Item;
use sprint_core::request::{ItemEdit, ItemFilter, ItemWait, NewItem};
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::page::page;
use super::status::of;
use crate::face::Face;
use crate::service::backlog::items;
use crate::service::explain_item;
use crate::service::fleet::notes;
use crate::service::repos::git_access;
use crate::service::watch;

fn list(items: Vec<Item>) -> v1::ItemList {
    v1::ItemList { items: items.into_iter().map(Into::into).collect(), more: false }
}

#[tonic::async_trait]
impl v1::items_server::Items for Face {
    async fn add(&self, request: Request<v1::AddItemsRequest>) -> Result<Response<v1::ItemList>, Status> {
        let by = caller(&request)?;
        let new = Vec::<NewItem>::try_from(request.into_inner()).map_err(of)?;
        Ok(Response::new(list(items::add(&self.sprint, new, by).await.map_err(of)?)))
    }

    async fn list(&self, request: Request<v1::ListItemsRequest>) -> Result<Response<v1::ItemList>, Status> {
        let filter = ItemFilter::try_from(request.into_inner()).map_err(of)?;
        let (items, more) = page(items::list(&self.sprint, &filter).await.map_err(of)?);
        Ok(Response::new(v1::ItemList { items, more }))
    }

    async fn get(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::Item>, Status> {
        let id = ItemId::new(request.into_inner().id);
        Ok(Response::new(items::get(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn edit(&self, request: Request<v1::EditItemRequest>) -> Result<Response<v1::Item>, Status> {
        let by = caller(&request)?;
        let edit = ItemEdit::try_from(request.into_inner()).map_err(of)?;
        Ok(Response::new(items::edit(&self.sprint, edit, by).await.map_err(of)?.into()))
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

    async fn resolve(&self, request: Request<v1::ResolveItemRequest>) -> Result<Response<v1::Item>, Status> {
        let by = caller(&request)?;
        let v1::ResolveItemRequest { id, reason } = request.into_inner();
        Ok(Response::new(items::take_as_done(&self.sprint, ItemId::new(id), reason, by).await.map_err(of)?.into()))
    }

    async fn explain(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::Explanation>, Status> {
        let id = ItemId::new(request.into_inner().id);
        Ok(Response::new(explain_item(&self.sprint, id).await.map_err(of)?.into()))
    }

    async fn kept(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::KeptList>, Status> {
        let id = ItemId::new(request.into_inner().id);
        let kept = git_access::kept(&self.sprint, id).await.map_err(of)?;
        Ok(Response::new(kept.into()))
    }

    async fn hand_offs(&self, request: Request<v1::ItemRequest>) -> Result<Response<v1::HandOffList>, Status> {
        let id = ItemId::new(request.into_inner().id);
        let found = notes::hand_offs(&self.sprint, id).await.map_err(of)?;
        Ok(Response::new(v1::HandOffList { hand_offs: found.into_iter().map(Into::into).collect() }))
    }

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Result<Response<v1::WaitResponse>, Status> {
        let wait = ItemWait::try_from(request.into_inner()).map_err(of)?;
        Ok(Response::new(watch::items(&self.sprint, wait).await.map_err(of)?.into()))
    }
}
