use std::time::Duration;

use sprint_core::assignment::{
    Assignment, AttemptOutcome, Command, CommandResult, GateRunOutcome, GatedChange, Leftovers, Outcome, Report,
    ReportBody, TargetBranch,
};
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use sprint_core::recipe::{Cache, Recipe};

use super::{Malformed, each, millis, required};
use crate::v1;

impl From<Assignment> for v1::Assignment {
    fn from(assignment: Assignment) -> Self {
        let Assignment {
            worker,
            repo,
            job,
            change,
            base,
            base_ref,
            target,
            changes,
            recipe,
            title,
            prompt,
            feedback,
            steps,
            gates,
            resumed,
            hung_after,
            secrets,
        } = assignment;
        Self {
            worker: worker.get(),
            repo: repo.into(),
            job: Some(job.into()),
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
            target: target.map(Into::into),
            changes: changes.into_iter().map(Into::into).collect(),
            recipe: (!recipe.is_empty()).then(|| recipe.into()),
            secrets: secrets.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Assignment> for Assignment {
    type Error = Malformed;

    fn try_from(assignment: v1::Assignment) -> Result<Self, Malformed> {
        let v1::Assignment {
            worker,
            repo,
            job,
            change,
            base,
            base_ref,
            target,
            changes,
            recipe,
            title,
            prompt,
            feedback,
            steps,
            gates,
            resumed,
            hung_after_ms,
            secrets,
        } = assignment;
        Ok(Self {
            worker: WorkerId::new(worker),
            repo: RepoName::new(repo)?,
            job: required(job, "the assignment's job")?.try_into()?,
            change: change.map(ChangeId::new),
            base: CommitId::new(base)?,
            base_ref,
            target: target.map(TryInto::try_into).transpose()?,
            changes: each(changes)?,
            recipe: recipe.map(Into::into).unwrap_or_default(),
            title,
            prompt,
            feedback,
            steps: each(steps)?,
            gates: each(gates)?,
            resumed: resumed.map(TryInto::try_into).transpose()?,
            hung_after: hung_after_ms.map(Duration::from_millis),
            secrets: each(secrets)?,
        })
    }
}

impl From<Recipe> for v1::Recipe {
    fn from(recipe: Recipe) -> Self {
        let Recipe { setup, teardown, timeout, bring, cache, variables, notes } = recipe;
        let cache = cache.into_iter().map(|Cache { path, key }| v1::Cache { path, key }).collect();
        Self { setup, teardown, timeout_ms: millis(timeout), bring, cache, variables, notes }
    }
}

impl From<v1::Recipe> for Recipe {
    fn from(recipe: v1::Recipe) -> Self {
        let v1::Recipe { setup, teardown, timeout_ms, bring, cache, variables, notes } = recipe;
        let cache = cache.into_iter().map(|v1::Cache { path, key }| Cache { path, key }).collect();
        Self { setup, teardown, timeout: Duration::from_millis(timeout_ms), bring, cache, variables, notes }
    }
}

impl From<TargetBranch> for v1::TargetBranch {
    fn from(target: TargetBranch) -> Self {
        let TargetBranch { name, tip, origin } = target;
        Self { name, tip: tip.into(), origin }
    }
}

impl TryFrom<v1::TargetBranch> for TargetBranch {
    type Error = Malformed;

    fn try_from(target: v1::TargetBranch) -> Result<Self, Malformed> {
        let v1::TargetBranch { name, tip, origin } = target;
        Ok(Self { name, tip: CommitId::new(tip)?, origin })
    }
}

impl From<GatedChange> for v1::GatedChange {
    fn from(gated: GatedChange) -> Self {
        let GatedChange { change, item, attempt, head, title } = gated;
        Self { change: change.get(), item: item.get(), attempt: attempt.get(), head: head.into(), title }
    }
}

impl TryFrom<v1::GatedChange> for GatedChange {
    type Error = Malformed;

    fn try_from(gated: v1::GatedChange) -> Result<Self, Malformed> {
        let v1::GatedChange { change, item, attempt, head, title } = gated;
        Ok(Self {
            change: ChangeId::new(change),
            item: ItemId::new(item),
            attempt: Attempt::new(attempt),
            head: CommitId::new(head)?,
            title,
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

impl From<CommandResult> for v1::StepResult {
    fn from(result: CommandResult) -> Self {
        let CommandResult { name, exit_code, signal, timed_out, duration_ms } = result;
        Self { name, exit_code, signal, timed_out, duration_ms }
    }
}

impl From<v1::StepResult> for CommandResult {
    fn from(result: v1::StepResult) -> Self {
        let v1::StepResult { name, exit_code, signal, timed_out, duration_ms } = result;
        Self { name, exit_code, signal, timed_out, duration_ms }
    }
}

impl From<Report> for v1::Report {
    fn from(report: Report) -> Self {
        let Report { worker, job, seq, body } = report;
        Self {
            worker: worker.get(),
            job: Some(job.into()),
            seq,
            body: Some(match body {
                ReportBody::Accepted => v1::report::Body::Accepted(v1::Accepted {}),
                ReportBody::Started { terminal } => {
                    v1::report::Body::Started(v1::Started { terminal: terminal.map(Into::into) })
                }
                ReportBody::Exited { exit_code } => v1::report::Body::Exited(v1::Exited { exit_code }),
                ReportBody::Noted { note } => v1::report::Body::Noted(note.into()),
                ReportBody::SentBack { reason, result } => {
                    v1::report::Body::SentBack(v1::SentBack { reason, result: result.map(Into::into) })
                }
                ReportBody::Finished { exit_code, steps, wip, log_bytes, log_tail, outcome, left, agent } => {
                    v1::report::Body::Finished(v1::Finished {
                        exit_code,
                        steps: steps.into_iter().map(Into::into).collect(),
                        wip: wip.map(Into::into),
                        log_bytes,
                        log_tail,
                        outcome: Some(outcome.into()),
                        left: Some((*left).into()),
                        agent: agent.map(|agent| (*agent).into()),
                    })
                }
            }),
        }
    }
}

impl TryFrom<v1::Report> for Report {
    type Error = Malformed;

    fn try_from(report: v1::Report) -> Result<Self, Malformed> {
        let v1::Report { worker, job, seq, body } = report;
        let job =
            required(job, "the report's job (an outpost of an older version sends none: update it)")?.try_into()?;
        let body = match required(body, "the report's body")? {
            v1::report::Body::Accepted(v1::Accepted {}) => ReportBody::Accepted,
            v1::report::Body::Started(v1::Started { terminal }) => {
                ReportBody::Started { terminal: terminal.map(Into::into) }
            }
            v1::report::Body::Exited(v1::Exited { exit_code }) => ReportBody::Exited { exit_code },
            v1::report::Body::Noted(noted) => ReportBody::Noted { note: noted.try_into()? },
            v1::report::Body::SentBack(v1::SentBack { reason, result }) => {
                ReportBody::SentBack { reason, result: result.map(CommitId::new).transpose()? }
            }
            v1::report::Body::Finished(finished) => {
                let v1::Finished { exit_code, steps, wip, log_bytes, log_tail, outcome, left, agent } = finished;
                ReportBody::Finished {
                    exit_code,
                    steps: steps.into_iter().map(Into::into).collect(),
                    wip: wip.map(CommitId::new).transpose()?,
                    log_bytes,
                    log_tail,
                    outcome: required(outcome, "the report's outcome")?.try_into()?,
                    left: Box::new(left.map(Into::into).unwrap_or_default()),
                    agent: agent.map(|agent| Ok::<_, Malformed>(Box::new(agent.try_into()?))).transpose()?,
                }
            }
        };
        Ok(Self { worker: WorkerId::new(worker), job, seq, body })
    }
}

impl From<Leftovers> for v1::Leftovers {
    fn from(left: Leftovers) -> Self {
        let Leftovers { files, file_count, saved, unsaved } = left;
        Self { files, file_count, saved, unsaved }
    }
}

impl From<v1::Leftovers> for Leftovers {
    fn from(left: v1::Leftovers) -> Self {
        let v1::Leftovers { files, file_count, saved, unsaved } = left;
        Self { files, file_count, saved, unsaved }
    }
}

impl From<Outcome> for v1::finished::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Attempt(outcome) => Self::Attempt(v1::AttemptOutcome { kind: Some(outcome.into()) }),
            Outcome::Gate(outcome) => Self::Gate(v1::GateRunOutcome { kind: Some(outcome.into()) }),
        }
    }
}

impl TryFrom<v1::finished::Outcome> for Outcome {
    type Error = Malformed;

    fn try_from(outcome: v1::finished::Outcome) -> Result<Self, Malformed> {
        Ok(match outcome {
            v1::finished::Outcome::Attempt(v1::AttemptOutcome { kind }) => {
                Self::Attempt(required(kind, "the attempt's outcome")?.try_into()?)
            }
            v1::finished::Outcome::Gate(v1::GateRunOutcome { kind }) => {
                Self::Gate(required(kind, "the gate run's outcome")?.try_into()?)
            }
        })
    }
}

impl From<AttemptOutcome> for v1::attempt_outcome::Kind {
    fn from(outcome: AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Committed { head } => Self::Committed(head.into()),
            AttemptOutcome::Failed { reason } => Self::Failed(reason),
            AttemptOutcome::NothingToDo { reason } => Self::NothingToDo(reason),
            AttemptOutcome::Unfit { reason } => Self::Unfit(reason),
            AttemptOutcome::NotSetUp { reason } => Self::NotSetUp(reason),
            AttemptOutcome::Lost { reason } => Self::Lost(reason),
            AttemptOutcome::Stopped { reason } => Self::Stopped(reason),
        }
    }
}

impl TryFrom<v1::attempt_outcome::Kind> for AttemptOutcome {
    type Error = Malformed;

    fn try_from(kind: v1::attempt_outcome::Kind) -> Result<Self, Malformed> {
        Ok(match kind {
            v1::attempt_outcome::Kind::Committed(head) => Self::Committed { head: CommitId::new(head)? },
            v1::attempt_outcome::Kind::Failed(reason) => Self::Failed { reason },
            v1::attempt_outcome::Kind::NothingToDo(reason) => Self::NothingToDo { reason },
            v1::attempt_outcome::Kind::Unfit(reason) => Self::Unfit { reason },
            v1::attempt_outcome::Kind::NotSetUp(reason) => Self::NotSetUp { reason },
            v1::attempt_outcome::Kind::Lost(reason) => Self::Lost { reason },
            v1::attempt_outcome::Kind::Stopped(reason) => Self::Stopped { reason },
        })
    }
}

impl From<GateRunOutcome> for v1::gate_run_outcome::Kind {
    fn from(outcome: GateRunOutcome) -> Self {
        match outcome {
            GateRunOutcome::Judged { commit, tree, verdicts } => Self::Judged(v1::Judged {
                commit: commit.into(),
                tree: tree.into(),
                verdicts: verdicts.into_iter().map(Into::into).collect(),
            }),
            GateRunOutcome::Failed { reason } => Self::Failed(reason),
            GateRunOutcome::Lost { reason } => Self::Lost(reason),
            GateRunOutcome::Stopped { reason } => Self::Stopped(reason),
        }
    }
}

impl TryFrom<v1::gate_run_outcome::Kind> for GateRunOutcome {
    type Error = Malformed;

    fn try_from(kind: v1::gate_run_outcome::Kind) -> Result<Self, Malformed> {
        Ok(match kind {
            v1::gate_run_outcome::Kind::Judged(v1::Judged { commit, tree, verdicts }) => {
                Self::Judged { commit: CommitId::new(commit)?, tree: TreeId::new(tree)?, verdicts: each(verdicts)? }
            }
            v1::gate_run_outcome::Kind::Failed(reason) => Self::Failed { reason },
            v1::gate_run_outcome::Kind::Lost(reason) => Self::Lost { reason },
            v1::gate_run_outcome::Kind::Stopped(reason) => Self::Stopped { reason },
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sprint_core::agent::AgentSaid;
    use sprint_core::assignment::{CommandResult, Leftovers};
    use sprint_core::fixtures::{attempt_job, gate, verdict};
    use sprint_core::gates::{Finding, FindingLevel, GateOutcome};
    use sprint_core::ids::{TrialId, WorkerId};
    use sprint_core::job::{GateJob, Job};

    use super::*;
    use crate::MAX_MESSAGE_BYTES;

    /// Longer than any bound of a text, and more than any bound of a list.
    const LONG: usize = 200_000;
    const MANY: usize = 1_500;

    fn long() -> String {
        "ä".repeat(LONG / 2)
    }

    fn finished(job: Job, outcome: Outcome) -> Report {
        let step =
            CommandResult { name: "x".to_owned(), exit_code: None, signal: None, timed_out: false, duration_ms: 1 };
        let left = Leftovers {
            files: vec![long(); MANY / 10],
            file_count: u64::MAX,
            saved: vec![long(); MANY / 10],
            unsaved: Some(long()),
        };
        let body = ReportBody::Finished {
            exit_code: Some(1),
            steps: vec![step; MANY],
            wip: None,
            log_bytes: u64::MAX,
            log_tail: long(),
            outcome,
            left: Box::new(left),
            agent: Some(Box::new(AgentSaid { runtime: long(), session: Some(long()), ..AgentSaid::default() })),
        };
        Report { worker: WorkerId::new(1), job, seq: 1, body }
    }

    #[test]
    fn the_longest_report_fits_into_a_message_and_comes_back_as_it_was() {
        let reason = long;
        let finding = Finding { file: long(), line: None, level: FindingLevel::Error, message: long() };
        let mut judged = verdict(&gate("test"), GateOutcome::Failed);
        judged.reason = long();
        judged.findings = vec![finding; 60];
        let candidate = sprint_core::fixtures::candidate();
        let (commit, tree) = (candidate.commit, candidate.tree);
        let attempts = [
            AttemptOutcome::Failed { reason: reason() },
            AttemptOutcome::Unfit { reason: reason() },
            AttemptOutcome::NotSetUp { reason: reason() },
            AttemptOutcome::NothingToDo { reason: reason() },
            AttemptOutcome::Lost { reason: reason() },
            AttemptOutcome::Stopped { reason: reason() },
        ];
        let gates = [
            GateRunOutcome::Judged { commit, tree, verdicts: vec![judged; 3] },
            GateRunOutcome::Failed { reason: reason() },
            GateRunOutcome::Lost { reason: reason() },
            GateRunOutcome::Stopped { reason: reason() },
        ];
        let attempts = attempts.map(|outcome| finished(attempt_job(2), Outcome::Attempt(outcome)));
        let gates = gates.map(|outcome| {
            let job = Job::Gate(GateJob { trial: TrialId::new(1), gate: "test".to_owned() });
            finished(job, Outcome::Gate(outcome))
        });
        let sent_back = ReportBody::SentBack { reason: long(), result: None };
        let sent_back = Report { worker: WorkerId::new(1), job: attempt_job(2), seq: 2, body: sent_back };
        for report in attempts.into_iter().chain(gates).chain([sent_back]) {
            let bounded = report.bounded();
            let message = v1::Report::from(bounded.clone());
            let bytes = message.encoded_len();
            assert!(bytes < MAX_MESSAGE_BYTES / 16, "{bytes} bytes: {:?}", bounded.job);
            let back = Report::try_from(message).expect("is read");
            assert_eq!(back, bounded);
            assert_eq!(bounded.clone().bounded(), bounded, "what is within bounds stays as it is");
            let json = serde_json::to_vec(&bounded).expect("is written");
            assert_eq!(serde_json::from_slice::<Report>(&json).expect("is read"), bounded);
        }
    }
}
