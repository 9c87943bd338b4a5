use std::time::Duration;

use sprint_core::ids::{ChangeId, CommitId, RepoName, TreeId, TrialId, WorkerId};
use sprint_core::time::Timestamp;
use sprint_core::view::{GateRecord, GateRunView, TrialView};

use super::{Malformed, each, millis};
use crate::v1;

impl From<TrialView> for v1::Trial {
    fn from(trial: TrialView) -> Self {
        let TrialView {
            id,
            repo,
            purpose,
            changes,
            commit,
            tree,
            base,
            state,
            reason,
            confirming,
            same_as,
            runs,
            created_at,
            updated_at,
        } = trial;
        Self {
            id: id.get(),
            repo: repo.into(),
            purpose: purpose.to_string(),
            changes: changes.into_iter().map(ChangeId::get).collect(),
            commit: commit.into(),
            tree: tree.into(),
            base: base.into(),
            state: state.to_string(),
            reason: Some(reason).filter(|reason| !reason.is_empty()),
            runs: runs.into_iter().map(Into::into).collect(),
            same_as: same_as.map(TrialId::get),
            confirming,
            created_at_ms: created_at.as_millis(),
            updated_at_ms: updated_at.as_millis(),
        }
    }
}

impl TryFrom<v1::Trial> for TrialView {
    type Error = Malformed;

    fn try_from(trial: v1::Trial) -> Result<Self, Malformed> {
        let v1::Trial {
            id,
            repo,
            purpose,
            changes,
            commit,
            tree,
            base,
            state,
            reason,
            runs,
            same_as,
            confirming,
            created_at_ms,
            updated_at_ms,
        } = trial;
        Ok(Self {
            id: TrialId::new(id),
            repo: RepoName::new(repo)?,
            purpose: purpose.parse()?,
            changes: changes.into_iter().map(ChangeId::new).collect(),
            commit: CommitId::new(commit)?,
            tree: TreeId::new(tree)?,
            base: CommitId::new(base)?,
            state: state.parse()?,
            reason: reason.unwrap_or_default(),
            confirming,
            same_as: same_as.map(TrialId::new),
            runs: each(runs)?,
            created_at: Timestamp::from_millis(created_at_ms),
            updated_at: Timestamp::from_millis(updated_at_ms),
        })
    }
}

impl From<GateRunView> for v1::GateRun {
    fn from(run: GateRunView) -> Self {
        let GateRunView { gate, state, worker, reason, flaky, failures, findings, duration_ms } = run;
        Self {
            gate,
            state: state.to_string(),
            worker: worker.map(WorkerId::get),
            reason,
            flaky,
            failures,
            findings,
            duration_ms,
        }
    }
}

impl TryFrom<v1::GateRun> for GateRunView {
    type Error = Malformed;

    fn try_from(run: v1::GateRun) -> Result<Self, Malformed> {
        let v1::GateRun { gate, state, worker, reason, flaky, failures, findings, duration_ms } = run;
        let worker = worker.map(WorkerId::new);
        Ok(Self { gate, state: state.parse()?, worker, reason, flaky, failures, findings, duration_ms })
    }
}

impl From<GateRecord> for v1::GateRecord {
    fn from(record: GateRecord) -> Self {
        let GateRecord { name, runs, passed, failed, flaky, median } = record;
        Self { name, runs, passed, failed, flaky, median_ms: median.map(millis) }
    }
}

impl From<v1::GateRecord> for GateRecord {
    fn from(record: v1::GateRecord) -> Self {
        let v1::GateRecord { name, runs, passed, failed, flaky, median_ms } = record;
        Self { name, runs, passed, failed, flaky, median: median_ms.map(Duration::from_millis) }
    }
}
