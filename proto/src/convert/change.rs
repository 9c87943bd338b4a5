use std::time::Duration;

use sprint_core::change::{Candidate, Change, ChangeState, ChangeStateName, Direct};
use sprint_core::gates::{FIRST_STAGE, Gate, InvalidNeed, InvalidThreshold, ReportFile};
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, TrialId};
use sprint_core::merge_queue::prior::Prior;
use sprint_core::merge_queue::{ChangeSeen, Standing};
use sprint_core::protection::{Approval, Protection};
use sprint_core::time::Timestamp;

use super::{Malformed, each, millis, required};
use crate::v1;

impl From<ChangeSeen> for v1::Change {
    fn from(ChangeSeen { change, standing }: ChangeSeen) -> Self {
        let Change {
            id,
            repo,
            item,
            attempt,
            head,
            role,
            source,
            own,
            direct,
            left_out,
            protection,
            state,
            created_at,
            updated_at,
        } = change;
        let name = state.name().to_string();
        let (candidate, reason, conflict_paths) = match state {
            ChangeState::Queued => (None, None, vec![]),
            ChangeState::Landing { candidate } | ChangeState::Landed { candidate } => (Some(candidate), None, vec![]),
            ChangeState::Failed { reason } => (None, Some(reason), vec![]),
            ChangeState::Conflicted { paths } => (None, None, paths),
        };
        Self {
            id: id.get(),
            repo: repo.into(),
            item: item.get(),
            attempt: attempt.get(),
            head: head.into(),
            role: role.map(|role| role.to_string()),
            source,
            own,
            direct: direct.map(|Direct { skip_gates, reason }| v1::Direct { skip_gates, reason }),
            left_out,
            protection: protection.map(Into::into),
            state: name,
            candidate: candidate.map(Into::into),
            reason,
            conflict_paths,
            standing: standing.map(Into::into),
            created_at_ms: created_at.as_millis(),
            updated_at_ms: updated_at.as_millis(),
        }
    }
}

impl TryFrom<v1::Change> for ChangeSeen {
    type Error = Malformed;

    fn try_from(change: v1::Change) -> Result<Self, Malformed> {
        let v1::Change {
            id,
            repo,
            item,
            attempt,
            head,
            role,
            source,
            own,
            direct,
            left_out,
            protection,
            state,
            candidate,
            reason,
            conflict_paths,
            standing,
            created_at_ms,
            updated_at_ms,
        } = change;
        let candidate = || required(candidate, "the change's candidate")?.try_into();
        let state = match state.parse::<ChangeStateName>()? {
            ChangeStateName::Queued => ChangeState::Queued,
            ChangeStateName::Landing => ChangeState::Landing { candidate: candidate()? },
            ChangeStateName::Landed => ChangeState::Landed { candidate: candidate()? },
            ChangeStateName::Failed => ChangeState::Failed { reason: required(reason, "the change's reason")? },
            ChangeStateName::Conflicted => ChangeState::Conflicted { paths: conflict_paths },
        };
        let change = Change {
            id: ChangeId::new(id),
            repo: RepoName::new(repo)?,
            item: ItemId::new(item),
            attempt: Attempt::new(attempt),
            head: CommitId::new(head)?,
            role: role.map(|role| role.parse()).transpose()?,
            source,
            own,
            direct: direct.map(|v1::Direct { skip_gates, reason }| Direct { skip_gates, reason }),
            left_out,
            protection: protection.map(Into::into),
            state,
            created_at: Timestamp::from_millis(created_at_ms),
            updated_at: Timestamp::from_millis(updated_at_ms),
        };
        Ok(Self { change, standing: standing.map(TryInto::try_into).transpose()? })
    }
}

impl From<Protection> for v1::Protection {
    fn from(protection: Protection) -> Self {
        let Protection { paths, more, weakens, approval } = protection;
        let more = more.try_into().unwrap_or(u64::MAX);
        let approval = approval.map(|Approval { by, reason, at }| v1::Approval { by, reason, at_ms: at.as_millis() });
        Self { paths, more, weakens, approval }
    }
}

impl From<v1::Protection> for Protection {
    fn from(protection: v1::Protection) -> Self {
        let v1::Protection { paths, more, weakens, approval } = protection;
        let more = more.try_into().unwrap_or(usize::MAX);
        let approval = approval.map(|v1::Approval { by, reason, at_ms }| Approval {
            by,
            reason,
            at: Timestamp::from_millis(at_ms),
        });
        Self { paths, more, weakens, approval }
    }
}

impl From<Standing> for v1::Standing {
    fn from(standing: Standing) -> Self {
        let Standing { position, waits_for, trial, trial_state, with, chance, prior, expected } = standing;
        Self {
            position: u32::try_from(position).unwrap_or(u32::MAX),
            waits_for: waits_for.into_iter().map(ChangeId::get).collect(),
            trial: trial.map(TrialId::get),
            trial_state: trial_state.map(|state| state.to_string()),
            with: with.into_iter().map(ChangeId::get).collect(),
            chance,
            prior: prior.map(|Prior { chance, like_it, good }| v1::Prior { chance, like_it, good }),
            expected_ms: expected.map(millis),
        }
    }
}

impl TryFrom<v1::Standing> for Standing {
    type Error = Malformed;

    fn try_from(standing: v1::Standing) -> Result<Self, Malformed> {
        let v1::Standing { position, waits_for, trial, trial_state, with, chance, prior, expected_ms } = standing;
        Ok(Self {
            position: usize::try_from(position).unwrap_or(usize::MAX),
            waits_for: waits_for.into_iter().map(ChangeId::new).collect(),
            trial: trial.map(TrialId::new),
            trial_state: trial_state.map(|state| state.parse()).transpose()?,
            with: with.into_iter().map(ChangeId::new).collect(),
            chance,
            prior: prior.map(|v1::Prior { chance, like_it, good }| Prior { chance, like_it, good }),
            expected: expected_ms.map(Duration::from_millis),
        })
    }
}

impl From<Candidate> for v1::Candidate {
    fn from(candidate: Candidate) -> Self {
        let Candidate { commit, tree, base, gates, new_gates } = candidate;
        Self {
            commit: commit.into(),
            tree: tree.into(),
            base: base.into(),
            gates: gates.into_iter().map(Into::into).collect(),
            new_gates: new_gates.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Candidate> for Candidate {
    type Error = Malformed;

    fn try_from(candidate: v1::Candidate) -> Result<Self, Malformed> {
        let v1::Candidate { commit, tree, base, gates, new_gates } = candidate;
        Ok(Self {
            commit: CommitId::new(commit)?,
            tree: TreeId::new(tree)?,
            base: CommitId::new(base)?,
            gates: each(gates)?,
            new_gates: each(new_gates)?,
        })
    }
}

impl From<Gate> for v1::Gate {
    fn from(gate: Gate) -> Self {
        let Gate { name, run, timeout, retries, stage, needs, report, require } = gate;
        Self {
            name,
            run,
            timeout_ms: millis(timeout),
            retries,
            stage: Some(stage),
            needs: needs.iter().map(ToString::to_string).collect(),
            report: report.into_iter().map(Into::into).collect(),
            require: require.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::Gate> for Gate {
    type Error = Malformed;

    fn try_from(gate: v1::Gate) -> Result<Self, Malformed> {
        let v1::Gate { name, run, timeout_ms, retries, stage, needs, report, require } = gate;
        let needs = needs.into_iter().map(|text| {
            text.parse().map_err(|error: InvalidNeed| Malformed::Gate {
                gate: name.clone(),
                text,
                why: error.to_string(),
            })
        });
        let needs = needs.collect::<Result<_, _>>()?;
        let require = require.into_iter().map(|text| {
            text.parse().map_err(|error: InvalidThreshold| Malformed::Gate {
                gate: name.clone(),
                text,
                why: error.to_string(),
            })
        });
        let require = require.collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            run,
            timeout: Duration::from_millis(timeout_ms),
            retries,
            stage: stage.unwrap_or(FIRST_STAGE),
            needs,
            report: each(report)?,
            require,
        })
    }
}

impl From<ReportFile> for v1::ReportFile {
    fn from(file: ReportFile) -> Self {
        let ReportFile { kind, path } = file;
        Self { kind: kind.to_string(), path }
    }
}

impl TryFrom<v1::ReportFile> for ReportFile {
    type Error = Malformed;

    fn try_from(file: v1::ReportFile) -> Result<Self, Malformed> {
        let v1::ReportFile { kind, path } = file;
        Ok(Self { kind: kind.parse()?, path })
    }
}
