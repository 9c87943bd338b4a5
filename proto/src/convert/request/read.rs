use sprint_core::event::Seq;
use sprint_core::ids::{ChangeId, ItemId, WorkerId};
use sprint_core::refusal::Refusal;
use sprint_core::request::{ChangeFilter, EventTail, ItemFilter, LogRange, WorkerFilter};

use super::{above_zero, duration, parsed, parsed_if_present};
use crate::v1;

impl TryFrom<v1::ListItemsRequest> for ItemFilter {
    type Error = Refusal;

    fn try_from(request: v1::ListItemsRequest) -> Result<Self, Refusal> {
        let v1::ListItemsRequest { repo, stages, labels, parent, limit, before } = request;
        Ok(Self {
            repo: parsed_if_present("repo", repo.as_deref())?,
            stages: stages.iter().map(|stage| parsed("stages", stage)).collect::<Result<_, _>>()?,
            labels,
            parent: parent.map(ItemId::new),
            limit: above_zero(limit),
            before: above_zero(before).map(ItemId::new),
        })
    }
}

impl TryFrom<v1::ListWorkersRequest> for WorkerFilter {
    type Error = Refusal;

    fn try_from(request: v1::ListWorkersRequest) -> Result<Self, Refusal> {
        let v1::ListWorkersRequest { item, outpost, live, limit, before } = request;
        Ok(Self {
            item: item.map(ItemId::new),
            outpost: parsed_if_present("outpost", outpost.as_deref())?,
            repo: None,
            live,
            limit: above_zero(limit),
            before: above_zero(before).map(WorkerId::new),
        })
    }
}

impl TryFrom<v1::ListChangesRequest> for ChangeFilter {
    type Error = Refusal;

    fn try_from(request: v1::ListChangesRequest) -> Result<Self, Refusal> {
        let v1::ListChangesRequest { repo, item, pending, limit, before } = request;
        Ok(Self {
            repo: parsed_if_present("repo", repo.as_deref())?,
            item: item.map(ItemId::new),
            pending,
            limit: above_zero(limit),
            before: above_zero(before).map(ChangeId::new),
        })
    }
}

impl From<v1::TailRequest> for EventTail {
    fn from(request: v1::TailRequest) -> Self {
        let v1::TailRequest { since, follow, item, limit, audit } = request;
        Self { since: since.map(Seq::new), item: item.map(ItemId::new), audit, limit: above_zero(limit), follow }
    }
}

impl From<v1::WorkerLogsRequest> for LogRange {
    fn from(request: v1::WorkerLogsRequest) -> Self {
        let v1::WorkerLogsRequest { id, offset, follow, since_ms } = request;
        Self { worker: WorkerId::new(id), offset, since: duration(since_ms), follow }
    }
}
