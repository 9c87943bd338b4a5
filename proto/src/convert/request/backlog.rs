use sprint_core::ids::{ChangeId, ItemId};
use sprint_core::refusal::{At, Refusal};
use sprint_core::request::{ItemEdit, ItemWait, NewItem, WaitReport};

use super::{duration, not_empty, parsed, parsed_if_present};
use crate::v1;

impl TryFrom<v1::NewItem> for NewItem {
    type Error = Refusal;

    fn try_from(new: v1::NewItem) -> Result<Self, Refusal> {
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
        Ok(Self {
            key: not_empty(key),
            repo: parsed("repo", &repo)?,
            kind: parsed("kind", &kind)?,
            title,
            description,
            acceptance,
            priority: parsed("priority", &priority)?,
            labels: labels.into_iter().collect(),
            requires: requires.into_iter().collect(),
            parent,
            discovered_from: None,
            needs,
            run,
            stage: parsed("stage", &stage)?,
        })
    }
}

/// Of several items, the refusal names the line rather than the field.
impl TryFrom<v1::AddItemsRequest> for Vec<NewItem> {
    type Error = Refusal;

    fn try_from(request: v1::AddItemsRequest) -> Result<Self, Refusal> {
        let v1::AddItemsRequest { items } = request;
        let several = items.len() > 1;
        let place = |refusal: Refusal, line: u64| if several { refusal.at(At::Line(line)) } else { refusal };
        (1..).zip(items).map(|(line, item)| item.try_into().map_err(|refusal| place(refusal, line))).collect()
    }
}

impl TryFrom<v1::EditItemRequest> for ItemEdit {
    type Error = Refusal;

    fn try_from(request: v1::EditItemRequest) -> Result<Self, Refusal> {
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
        } = request;
        Ok(Self {
            id: ItemId::new(id),
            title,
            description,
            priority: parsed_if_present("priority", priority.as_deref())?,
            run,
            needs: set_needs.then(|| needs.into_iter().map(ItemId::new).collect()),
            labels: set_labels.then(|| labels.into_iter().collect()),
            acceptance: set_acceptance.then_some(acceptance),
            requires: set_requires.then(|| requires.into_iter().collect()),
        })
    }
}

impl TryFrom<v1::WaitRequest> for ItemWait {
    type Error = Refusal;

    fn try_from(request: v1::WaitRequest) -> Result<Self, Refusal> {
        let v1::WaitRequest { ids, stage, timeout_ms, tell_approvals, known_approvals } = request;
        Ok(Self {
            items: ids.into_iter().map(ItemId::new).collect(),
            stage: parsed("stage", &stage)?,
            limit: duration(timeout_ms),
            known_approvals: tell_approvals.then(|| known_approvals.into_iter().map(ChangeId::new).collect()),
        })
    }
}

impl From<WaitReport> for v1::WaitResponse {
    fn from(report: WaitReport) -> Self {
        let WaitReport { result, items, reason, approvals } = report;
        Self {
            result: result.to_string(),
            items: items.into_iter().map(Into::into).collect(),
            reason,
            approvals: approvals.into_iter().map(ChangeId::get).collect(),
        }
    }
}
