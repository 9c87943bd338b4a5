use sprint_core::event::Seq;
use sprint_core::ids::ChangeId;
use sprint_core::status::{CoordinatorStatus, LoopPass, LoopStatus, QueueStatus};
use sprint_core::time::Timestamp;

use super::{Malformed, each, time, time_ms};
use crate::v1;

impl From<CoordinatorStatus> for v1::StatusResponse {
    fn from(status: CoordinatorStatus) -> Self {
        let CoordinatorStatus {
            version,
            started_at,
            last_seq,
            http,
            database,
            items,
            workers,
            changes,
            outposts,
            merge_queues,
            loops,
        } = status;
        Self {
            version,
            started_at_ms: started_at.as_millis(),
            last_seq: last_seq.get(),
            http,
            database,
            items: items.into_iter().collect(),
            workers: workers.into_iter().collect(),
            changes: changes.into_iter().collect(),
            outposts: outposts.into_iter().collect(),
            merge_queues: merge_queues.into_iter().map(Into::into).collect(),
            loops: loops.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::StatusResponse> for CoordinatorStatus {
    type Error = Malformed;

    fn try_from(status: v1::StatusResponse) -> Result<Self, Malformed> {
        let v1::StatusResponse {
            version,
            started_at_ms,
            last_seq,
            http,
            database,
            items,
            workers,
            changes,
            outposts,
            merge_queues,
            loops,
        } = status;
        Ok(Self {
            version,
            started_at: Timestamp::from_millis(started_at_ms),
            last_seq: Seq::new(last_seq),
            http,
            database,
            items: items.into_iter().collect(),
            workers: workers.into_iter().collect(),
            changes: changes.into_iter().collect(),
            outposts: outposts.into_iter().collect(),
            merge_queues: each::<_, QueueStatus, _, _>(merge_queues)?,
            loops: each::<_, LoopStatus, _, _>(loops)?,
        })
    }
}

impl From<QueueStatus> for v1::QueueStatus {
    fn from(queue: QueueStatus) -> Self {
        let QueueStatus { repo, branch, halted, upstream_trouble, changes, awaiting_approval } = queue;
        let numbers = |changes: Vec<ChangeId>| changes.into_iter().map(ChangeId::get).collect();
        let (changes, awaiting_approval) = (numbers(changes), numbers(awaiting_approval));
        Self { repo: repo.into(), branch, halted, changes, upstream_trouble, awaiting_approval }
    }
}

impl TryFrom<v1::QueueStatus> for QueueStatus {
    type Error = Malformed;

    fn try_from(queue: v1::QueueStatus) -> Result<Self, Malformed> {
        let v1::QueueStatus { repo, branch, halted, changes, upstream_trouble, awaiting_approval } = queue;
        let ids = |changes: Vec<u64>| changes.into_iter().map(ChangeId::new).collect();
        let (changes, awaiting_approval) = (ids(changes), ids(awaiting_approval));
        Ok(Self { repo: repo.parse()?, branch, halted, upstream_trouble, changes, awaiting_approval })
    }
}

impl From<LoopStatus> for v1::LoopStatus {
    fn from(status: LoopStatus) -> Self {
        let LoopStatus { name, passes, failures, running_since, last_pass } = status;
        let last_pass = last_pass.map(Into::into);
        Self { name, passes, failures, running_since_ms: time_ms(running_since), last_pass }
    }
}

impl TryFrom<v1::LoopStatus> for LoopStatus {
    type Error = Malformed;

    fn try_from(status: v1::LoopStatus) -> Result<Self, Malformed> {
        let v1::LoopStatus { name, passes, failures, running_since_ms, last_pass } = status;
        let last_pass = last_pass.map(LoopPass::try_from).transpose()?;
        Ok(Self { name, passes, failures, running_since: time(running_since_ms), last_pass })
    }
}

impl From<LoopPass> for v1::LoopPass {
    fn from(pass: LoopPass) -> Self {
        let LoopPass { at, reason, duration_us, error } = pass;
        Self { at_ms: at.as_millis(), reason: reason.to_string(), duration_us, error }
    }
}

impl TryFrom<v1::LoopPass> for LoopPass {
    type Error = Malformed;

    fn try_from(pass: v1::LoopPass) -> Result<Self, Malformed> {
        let v1::LoopPass { at_ms, reason, duration_us, error } = pass;
        Ok(Self { at: Timestamp::from_millis(at_ms), reason: reason.parse()?, duration_us, error })
    }
}
