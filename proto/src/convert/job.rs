use std::time::Duration;

use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use sprint_core::job::{Assignment, Command, Outcome, Report, ReportBody, StepResult};

use super::{Malformed, each, millis, required};
use crate::v1;

impl From<Assignment> for v1::Assignment {
    fn from(assignment: Assignment) -> Self {
        let Assignment {
            worker,
            repo,
            item,
            attempt,
            role,
            change,
            base,
            base_ref,
            title,
            prompt,
            feedback,
            steps,
            gates,
            resumed,
            hung_after,
        } = assignment;
        Self {
            worker: worker.get(),
            repo: repo.into(),
            item: item.get(),
            attempt: attempt.get(),
            role: role.to_string(),
            change: change.map(ChangeId::get),
            base: base.into(),
            base_ref,
            title,
            prompt,
            feedback,
            steps: steps.into_iter().map(Into::into).collect(),
            gates: gates.into_iter().map(Into::into).collect(),
            resumed: resumed.map(Into::into),
            hung_after_ms: hung_after.map(millis),
        }
    }
}

impl TryFrom<v1::Assignment> for Assignment {
    type Error = Malformed;

    fn try_from(assignment: v1::Assignment) -> Result<Self, Malformed> {
        let v1::Assignment {
            worker,
            repo,
            item,
            attempt,
            role,
            change,
            base,
            base_ref,
            title,
            prompt,
            feedback,
            steps,
            gates,
            resumed,
            hung_after_ms,
        } = assignment;
        Ok(Self {
            worker: WorkerId::new(worker),
            repo: RepoName::new(repo)?,
            item: ItemId::new(item),
            attempt: Attempt::new(attempt),
            role: role.parse()?,
            change: change.map(ChangeId::new),
            base: CommitId::new(base)?,
            base_ref,
            title,
            prompt,
            feedback,
            steps: each(steps)?,
            gates: each(gates)?,
            resumed: resumed.map(TryInto::try_into).transpose()?,
            hung_after: hung_after_ms.map(Duration::from_millis),
        })
    }
}

impl From<Command> for v1::Step {
    fn from(step: Command) -> Self {
        let Command { name, runtime, run, timeout } = step;
        Self { name, runtime: Some(runtime.into()), run, timeout_ms: millis(timeout) }
    }
}

impl TryFrom<v1::Step> for Command {
    type Error = Malformed;

    fn try_from(step: v1::Step) -> Result<Self, Malformed> {
        let v1::Step { name, runtime, run, timeout_ms } = step;
        Ok(Self {
            name,
            runtime: required(runtime, "the step's runtime")?.try_into()?,
            run,
            timeout: Duration::from_millis(timeout_ms),
        })
    }
}

impl From<StepResult> for v1::StepResult {
    fn from(result: StepResult) -> Self {
        let StepResult { name, exit_code, signal, timed_out, duration_ms } = result;
        Self { name, exit_code, signal, timed_out, duration_ms }
    }
}

impl From<v1::StepResult> for StepResult {
    fn from(result: v1::StepResult) -> Self {
        let v1::StepResult { name, exit_code, signal, timed_out, duration_ms } = result;
        Self { name, exit_code, signal, timed_out, duration_ms }
    }
}

impl From<Report> for v1::Report {
    fn from(report: Report) -> Self {
        let Report { worker, item, attempt, seq, body } = report;
        Self {
            worker: worker.get(),
            item: item.get(),
            attempt: attempt.get(),
            seq,
            body: Some(match body {
                ReportBody::Accepted => v1::report::Body::Accepted(v1::Accepted {}),
                ReportBody::Started { terminal } => {
                    v1::report::Body::Started(v1::Started { terminal: terminal.map(Into::into) })
                }
                ReportBody::Exited { exit_code } => v1::report::Body::Exited(v1::Exited { exit_code }),
                ReportBody::SentBack { reason } => v1::report::Body::SentBack(v1::SentBack { reason }),
                ReportBody::Finished { exit_code, steps, wip, log_bytes, log_tail, outcome } => {
                    v1::report::Body::Finished(v1::Finished {
                        exit_code,
                        steps: steps.into_iter().map(Into::into).collect(),
                        wip: wip.map(Into::into),
                        log_bytes,
                        log_tail,
                        outcome: Some(outcome.into()),
                    })
                }
            }),
        }
    }
}

impl TryFrom<v1::Report> for Report {
    type Error = Malformed;

    fn try_from(report: v1::Report) -> Result<Self, Malformed> {
        let v1::Report { worker, item, attempt, seq, body } = report;
        let body = match required(body, "the report's body")? {
            v1::report::Body::Accepted(v1::Accepted {}) => ReportBody::Accepted,
            v1::report::Body::Started(v1::Started { terminal }) => {
                ReportBody::Started { terminal: terminal.map(Into::into) }
            }
            v1::report::Body::Exited(v1::Exited { exit_code }) => ReportBody::Exited { exit_code },
            v1::report::Body::SentBack(v1::SentBack { reason }) => ReportBody::SentBack { reason },
            v1::report::Body::Finished(v1::Finished { exit_code, steps, wip, log_bytes, log_tail, outcome }) => {
                ReportBody::Finished {
                    exit_code,
                    steps: steps.into_iter().map(Into::into).collect(),
                    wip: wip.map(CommitId::new).transpose()?,
                    log_bytes,
                    log_tail,
                    outcome: required(outcome, "the report's outcome")?.try_into()?,
                }
            }
        };
        Ok(Self { worker: WorkerId::new(worker), item: ItemId::new(item), attempt: Attempt::new(attempt), seq, body })
    }
}

impl From<Outcome> for v1::finished::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Committed { head } => Self::Committed(head.into()),
            Outcome::Gated { commit, tree, verdicts } => Self::Gated(v1::Gated {
                commit: commit.into(),
                tree: tree.into(),
                verdicts: verdicts.into_iter().map(Into::into).collect(),
            }),
            Outcome::Failed { reason } => Self::Failed(reason),
            Outcome::Lost { reason } => Self::Lost(reason),
            Outcome::Stopped { reason } => Self::Stopped(reason),
        }
    }
}

impl TryFrom<v1::finished::Outcome> for Outcome {
    type Error = Malformed;

    fn try_from(outcome: v1::finished::Outcome) -> Result<Self, Malformed> {
        Ok(match outcome {
            v1::finished::Outcome::Committed(head) => Self::Committed { head: CommitId::new(head)? },
            v1::finished::Outcome::Gated(v1::Gated { commit, tree, verdicts }) => {
                Self::Gated { commit: CommitId::new(commit)?, tree: TreeId::new(tree)?, verdicts: each(verdicts)? }
            }
            v1::finished::Outcome::Passed(v1::Passed { commit: _, tree: _ }) => {
                let reason = "its outpost is of an older version and reads no reports; update it";
                Self::Lost { reason: reason.to_owned() }
            }
            v1::finished::Outcome::Failed(reason) => Self::Failed { reason },
            v1::finished::Outcome::Lost(reason) => Self::Lost { reason },
            v1::finished::Outcome::Stopped(reason) => Self::Stopped { reason },
        })
    }
}
