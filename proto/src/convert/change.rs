use std::time::Duration;

use sprint_core::change::{Candidate, Change, ChangeState, ChangeStateName};
use sprint_core::explain::Explanation;
use sprint_core::gates::Gate;
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use sprint_core::time::Timestamp;

use super::{Malformed, each, millis, required, time, time_ms};
use crate::v1;

impl From<Change> for v1::Change {
    fn from(change: Change) -> Self {
        let Change { id, repo, item, attempt, head, state, losses, not_before, created_at, updated_at } = change;
        let name = state.name().to_string();
        let (candidate, gate_worker, reason, conflict_paths) = match state {
            ChangeState::Queued => (None, None, None, vec![]),
            ChangeState::Gating { candidate, worker } => (Some(candidate), worker, None, vec![]),
            ChangeState::Landing { candidate } | ChangeState::Landed { candidate } => {
                (Some(candidate), None, None, vec![])
            }
            ChangeState::Failed { reason } => (None, None, Some(reason), vec![]),
            ChangeState::Conflicted { paths } => (None, None, None, paths),
        };
        Self {
            id: id.get(),
            repo: repo.into(),
            item: item.get(),
            attempt: attempt.get(),
            head: head.into(),
            state: name,
            candidate: candidate.map(Into::into),
            gate_worker: gate_worker.map(WorkerId::get),
            reason,
            conflict_paths,
            losses,
            not_before_ms: time_ms(not_before),
            created_at_ms: created_at.as_millis(),
            updated_at_ms: updated_at.as_millis(),
        }
    }
}

impl TryFrom<v1::Change> for Change {
    type Error = Malformed;

    fn try_from(change: v1::Change) -> Result<Self, Malformed> {
        let v1::Change {
            id,
            repo,
            item,
            attempt,
            head,
            state,
            candidate,
            gate_worker,
            reason,
            conflict_paths,
            losses,
            not_before_ms,
            created_at_ms,
            updated_at_ms,
        } = change;
        let candidate = || required(candidate, "the change's candidate")?.try_into();
        let state = match state.parse::<ChangeStateName>()? {
            ChangeStateName::Queued => ChangeState::Queued,
            ChangeStateName::Gating => {
                ChangeState::Gating { candidate: candidate()?, worker: gate_worker.map(WorkerId::new) }
            }
            ChangeStateName::Landing => ChangeState::Landing { candidate: candidate()? },
            ChangeStateName::Landed => ChangeState::Landed { candidate: candidate()? },
            ChangeStateName::Failed => ChangeState::Failed { reason: required(reason, "the change's reason")? },
            ChangeStateName::Conflicted => ChangeState::Conflicted { paths: conflict_paths },
        };
        Ok(Self {
            id: ChangeId::new(id),
            repo: RepoName::new(repo)?,
            item: ItemId::new(item),
            attempt: Attempt::new(attempt),
            head: CommitId::new(head)?,
            state,
            losses,
            not_before: time(not_before_ms),
            created_at: Timestamp::from_millis(created_at_ms),
            updated_at: Timestamp::from_millis(updated_at_ms),
        })
    }
}

impl From<Candidate> for v1::Candidate {
    fn from(candidate: Candidate) -> Self {
        let Candidate { commit, tree, base, gates } = candidate;
        Self {
            commit: commit.into(),
            tree: tree.into(),
            base: base.into(),
            gates: gates.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Candidate> for Candidate {
    type Error = Malformed;

    fn try_from(candidate: v1::Candidate) -> Result<Self, Malformed> {
        let v1::Candidate { commit, tree, base, gates } = candidate;
        Ok(Self {
            commit: CommitId::new(commit)?,
            tree: TreeId::new(tree)?,
            base: CommitId::new(base)?,
            gates: each(gates)?,
        })
    }
}

impl From<Gate> for v1::Gate {
    fn from(gate: Gate) -> Self {
        let Gate { name, run, timeout } = gate;
        Self { name, run, timeout_ms: millis(timeout) }
    }
}

impl From<v1::Gate> for Gate {
    fn from(gate: v1::Gate) -> Self {
        let v1::Gate { name, run, timeout_ms } = gate;
        Self { name, run, timeout: Duration::from_millis(timeout_ms) }
    }
}

impl From<std::convert::Infallible> for Malformed {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<Explanation> for v1::ChangeExplanation {
    fn from(explanation: Explanation) -> Self {
        let Explanation { lines, stuck } = explanation;
        Self { lines, stuck }
    }
}

impl From<v1::ChangeExplanation> for Explanation {
    fn from(explanation: v1::ChangeExplanation) -> Self {
        let v1::ChangeExplanation { lines, stuck } = explanation;
        Self { lines, stuck }
    }
}
