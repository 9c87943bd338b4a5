use sprint_core::conflict::Conflict;
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, WorkerId};
use sprint_core::item::{Feedback, Item, Lease, Stage, StageName};
use sprint_core::time::Timestamp;

use super::{Malformed, required, time, time_ms};
use crate::v1;

impl From<Item> for v1::Item {
    fn from(item: Item) -> Self {
        let Item {
            id,
            repo,
            kind,
            title,
            description,
            acceptance,
            priority,
            labels,
            requires,
            parent,
            discovered_from,
            needs,
            run,
            stage,
            attempt,
            failures,
            losses,
            not_before,
            conflict,
            nothing_to_do,
            avoid,
            feedback,
            created_at,
            updated_at,
            stage_since,
        } = item;
        Self {
            id: id.get(),
            repo: repo.into(),
            kind: kind.to_string(),
            title,
            description,
            acceptance,
            priority: priority.to_string(),
            labels: labels.into_iter().collect(),
            requires: requires.into_iter().collect(),
            parent: parent.map(ItemId::get),
            discovered_from: discovered_from.map(ItemId::get),
            needs: needs.into_iter().map(ItemId::get).collect(),
            run,
            stage: Some(stage.into()),
            attempt: attempt.get(),
            failures,
            losses,
            not_before_ms: time_ms(not_before),
            conflict: conflict.map(Into::into),
            nothing_to_do,
            avoid: avoid.into_iter().map(Into::into).collect(),
            feedback: feedback
                .into_iter()
                .map(|Feedback { attempt, text }| v1::Feedback { attempt: attempt.get(), text })
                .collect(),
            created_at_ms: created_at.as_millis(),
            updated_at_ms: updated_at.as_millis(),
            stage_since_ms: time_ms(stage_since),
        }
    }
}

impl TryFrom<v1::Item> for Item {
    type Error = Malformed;

    fn try_from(item: v1::Item) -> Result<Self, Malformed> {
        let v1::Item {
            id,
            repo,
            kind,
            title,
            description,
            acceptance,
            priority,
            labels,
            requires,
            parent,
            discovered_from,
            needs,
            run,
            stage,
            attempt,
            failures,
            losses,
            not_before_ms,
            feedback,
            created_at_ms,
            updated_at_ms,
            conflict,
            nothing_to_do,
            avoid,
            stage_since_ms,
        } = item;
        Ok(Self {
            id: ItemId::new(id),
            repo: repo.try_into()?,
            kind: kind.parse()?,
            title,
            description,
            acceptance,
            priority: priority.parse()?,
            labels: labels.into_iter().collect(),
            requires: requires.into_iter().collect(),
            parent: parent.map(ItemId::new),
            discovered_from: discovered_from.map(ItemId::new),
            needs: needs.into_iter().map(ItemId::new).collect(),
            run,
            stage: required(stage, "the item's stage")?.try_into()?,
            attempt: Attempt::new(attempt),
            failures,
            losses,
            not_before: time(not_before_ms),
            conflict: conflict.map(TryInto::try_into).transpose()?,
            nothing_to_do,
            avoid: avoid.into_iter().map(OutpostName::new).collect::<Result<_, _>>()?,
            feedback: feedback
                .into_iter()
                .map(|v1::Feedback { attempt, text }| Feedback { attempt: Attempt::new(attempt), text })
                .collect(),
            created_at: Timestamp::from_millis(created_at_ms),
            updated_at: Timestamp::from_millis(updated_at_ms),
            stage_since: time(stage_since_ms),
        })
    }
}

impl From<Conflict> for v1::Conflict {
    fn from(conflict: Conflict) -> Self {
        let Conflict { change, attempt, head, paths, others } = conflict;
        Self {
            change: change.get(),
            attempt: attempt.get(),
            head: head.into(),
            paths,
            others: others.into_iter().map(ItemId::get).collect(),
        }
    }
}

impl TryFrom<v1::Conflict> for Conflict {
    type Error = Malformed;

    fn try_from(conflict: v1::Conflict) -> Result<Self, Malformed> {
        let v1::Conflict { change, attempt, head, paths, others } = conflict;
        Ok(Self {
            change: ChangeId::new(change),
            attempt: Attempt::new(attempt),
            head: CommitId::new(head)?,
            paths,
            others: others.into_iter().map(ItemId::new).collect(),
        })
    }
}

impl From<Stage> for v1::Stage {
    fn from(stage: Stage) -> Self {
        let mut wire = Self { name: stage.name().to_string(), lease: None, change: None, commit: None, reason: None };
        match stage {
            Stage::Inbox | Stage::Planning | Stage::Ready | Stage::InReview | Stage::InTests | Stage::InDocs => {}
            Stage::InProgress { lease: Lease { worker, outpost } } => {
                wire.lease = Some(v1::Lease { worker: worker.get(), outpost: outpost.into() });
            }
            Stage::Merging { change, landed } => {
                (wire.change, wire.commit) = (Some(change.get()), landed.map(Into::into));
            }
            Stage::Done { commit } => wire.commit = commit.map(Into::into),
            Stage::Blocked { reason } | Stage::Cancelled { reason } => wire.reason = Some(reason),
        }
        wire
    }
}

impl TryFrom<v1::Stage> for Stage {
    type Error = Malformed;

    fn try_from(stage: v1::Stage) -> Result<Self, Malformed> {
        let v1::Stage { name, lease, change, commit, reason } = stage;
        Ok(match name.parse::<StageName>()? {
            StageName::Inbox => Self::Inbox,
            StageName::Planning => Self::Planning,
            StageName::Ready => Self::Ready,
            StageName::InProgress => {
                let v1::Lease { worker, outpost } = required(lease, "the stage's lease")?;
                Self::InProgress { lease: Lease { worker: WorkerId::new(worker), outpost: OutpostName::new(outpost)? } }
            }
            StageName::InReview => Self::InReview,
            StageName::InTests => Self::InTests,
            StageName::Merging => Self::Merging {
                change: ChangeId::new(required(change, "the stage's change")?),
                landed: commit.map(CommitId::new).transpose()?,
            },
            StageName::InDocs => Self::InDocs,
            StageName::Done => Self::Done { commit: commit.map(CommitId::new).transpose()? },
            StageName::Blocked => Self::Blocked { reason: required(reason, "the stage's reason")? },
            StageName::Cancelled => Self::Cancelled { reason: required(reason, "the stage's reason")? },
        })
    }
}
