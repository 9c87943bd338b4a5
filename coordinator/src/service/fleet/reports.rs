//! What outposts report of their workers, applied once and in order.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::json;
use sprint_core::access::Caller;
use sprint_core::agent::{AgentSaid, FaultKind};
use sprint_core::assignment::{AttemptOutcome, GateRunOutcome, Leftovers, NO_WORKSPACE, Outcome, Report, ReportBody};
use sprint_core::change::{Change, ChangeState};
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::gates::{GateOutcome, GateVerdict};
use sprint_core::ids::{ChangeId, ItemId, OutpostName, WorkerId, work_ref};
use sprint_core::item::ItemEvent;
use sprint_core::job::{AttemptJob, GateJob, Job};
use sprint_core::outpost::Sign;
use sprint_core::repo::NothingToDo;
use sprint_core::schedule::pause_after;
use sprint_core::trial::TrialEvent;
use sprint_core::worker::{Worker, WorkerEvent};

use crate::git::GitError;
use crate::service::fleet::doubt;
use crate::service::fleet::notes::{self, Taken};
use crate::service::queue::entries;
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Tx;

/// The answer to one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub worker: WorkerId,
    pub seq: u64,
    /// Why it changed nothing, when it was refused.
    pub refused: Option<String>,
    /// The item that was added for it.
    pub item: Option<ItemId>,
    /// Nothing of this worker is needed any more on the outpost.
    pub forget: bool,
}

/// Applies an outpost's reports in one transaction.
///
/// A report that was applied before is acknowledged again; one that speaks for an attempt
/// that is over is refused by number, and its work stays under its refs.
///
/// # Errors
/// [`ServiceError::OutOfOrder`] when one before it is missing, or what the store or git says; then none of them was applied.
pub async fn apply(
    sprint: &Coordinator,
    caller: &Caller,
    outpost: &OutpostName,
    reports: Vec<Report>,
) -> Result<Vec<Acknowledged>, ServiceError> {
    let mut reports: Vec<Report> = reports.into_iter().map(Report::bounded).collect();
    if let Some(prices) = &sprint.settings.prices {
        let now = sprint.now();
        reports.iter_mut().filter_map(agent_of).for_each(|said| prices.apply(said, now));
    }
    let arrived = arrived(sprint, &reports).await?;
    let ends: Vec<_> = reports.iter().filter_map(end_of_attempt).collect();
    let (caller, name) = (Actor::Caller(caller.clone()), outpost.clone());
    let answers = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut answers = Vec::with_capacity(reports.len());
                for report in reports {
                    let branch_is_here = arrived.get(&report.worker).copied().unwrap_or(true);
                    answers.push(one(tx, &caller, &name, report, branch_is_here).await?);
                }
                Ok::<_, ServiceError>(answers)
            })
        })
        .await?;
    for (worker, outcome) in ends {
        if let Some(worker) = sprint.store.get(&worker).await?.filter(|worker| worker.outpost == *outpost) {
            sprint.setup_failures.learn(&worker.repo, outpost, &outcome);
        }
    }
    Ok(answers)
}

/// What an agent has said of itself, where a report says so.
fn agent_of(report: &mut Report) -> Option<&mut AgentSaid> {
    match &mut report.body {
        ReportBody::Finished { agent, .. } => agent.as_deref_mut(),
        ReportBody::Accepted
        | ReportBody::Started { .. }
        | ReportBody::Exited { .. }
        | ReportBody::Noted { .. }
        | ReportBody::SentBack { .. } => None,
    }
}

fn end_of_attempt(report: &Report) -> Option<(WorkerId, AttemptOutcome)> {
    match &report.body {
        ReportBody::Finished { outcome: Outcome::Attempt(outcome), .. } => Some((report.worker, outcome.clone())),
        ReportBody::Accepted
        | ReportBody::Started { .. }
        | ReportBody::Exited { .. }
        | ReportBody::Noted { .. }
        | ReportBody::SentBack { .. }
        | ReportBody::Finished { .. } => None,
    }
}

/// For each report of commits: whether they are really here. Looked up before the transaction,
/// which must not wait for git; a ref of an attempt only ever gains commits.
async fn arrived(sprint: &Coordinator, reports: &[Report]) -> Result<HashMap<WorkerId, bool>, ServiceError> {
    let mut arrived = HashMap::new();
    for report in reports {
        if let ReportBody::Finished { outcome: Outcome::Attempt(AttemptOutcome::Committed { head }), .. } = &report.body
            && let Job::Attempt(job) = &report.job
            && let Some(worker) = sprint.store.get(&report.worker).await?
        {
            let found = match sprint.git.get(&worker.repo) {
                Ok(repo) => repo.resolve(&work_ref(job.item, job.attempt))?,
                // The repo was removed meanwhile, and its items with it.
                Err(GitError::Missing(_)) => None,
                Err(error) => return Err(error.into()),
            };
            arrived.insert(report.worker, found.as_ref() == Some(head));
        }
    }
    Ok(arrived)
}

async fn one(
    tx: &mut Tx,
    caller: &Actor,
    outpost: &OutpostName,
    report: Report,
    branch_is_here: bool,
) -> Result<Acknowledged, ServiceError> {
    let Report { worker: id, job, seq, body } = report;
    let finished = matches!(body, ReportBody::Finished { .. });
    let actor = Actor::Outpost(outpost.clone());
    let answer = |refused: Option<String>| Acknowledged { worker: id, seq, refused, item: None, forget: finished };
    let Some(mut worker) = tx.get(&id).await?.filter(|worker| worker.outpost == *outpost) else {
        let why = format!("worker {id} is not one of outpost \"{outpost}\"");
        return Ok(refuse(tx, caller, &job, answer, why));
    };
    let is_of_another = matches!(&body, ReportBody::Finished { outcome, .. } if !outcome.is_of(&worker.job));
    if job != worker.job || is_of_another {
        let why = format!("worker {id} is on {}", worker.job);
        return Ok(refuse(tx, caller, &job, answer, why));
    }
    if seq <= worker.report_seq {
        return Ok(answer(None));
    }
    if !worker.state.is_live() {
        let why = format!("{job} is over: worker {id} is {}", worker.state.name());
        return Ok(refuse(tx, caller, &job, answer, why));
    }
    if seq != worker.report_seq + 1 {
        return Err(ServiceError::OutOfOrder { worker: id, seq, expected: worker.report_seq + 1 });
    }
    worker.report_seq = seq;
    match body {
        ReportBody::Accepted => {
            transition::apply_to(tx, worker, WorkerEvent::Accepted, &actor).await?;
        }
        ReportBody::Started { terminal } => {
            transition::apply_to(tx, worker, WorkerEvent::Started { terminal }, &actor).await?;
        }
        ReportBody::Exited { exit_code } => {
            transition::apply_to(tx, worker, WorkerEvent::Exited { exit_code }, &actor).await?;
        }
        ReportBody::Noted { note } => {
            return match notes::take(tx, worker, note, &actor).await? {
                Taken::Noted(item) => Ok(Acknowledged { item, ..answer(None) }),
                Taken::Refused(why) => Ok(refuse(tx, caller, &job, answer, why)),
            };
        }
        ReportBody::SentBack { reason, result: _ } => {
            let record = NewEvent {
                kind: EventKind::WORKER_SENT_BACK,
                repo: Some(worker.repo.clone()),
                item: worker.job.item(),
                actor: actor.clone(),
                data: json!({ "worker": id, "reason": reason }),
            };
            tx.save(worker, record);
        }
        ReportBody::Finished { exit_code, steps, wip: _, log_bytes, log_tail, outcome, left, agent } => {
            if let Some(said) = agent.as_ref().filter(|said| !said.usage.is_empty()) {
                let data = json!({ "worker": worker.id, "agent": said.runtime, "usage": said.usage });
                let (repo, item) = (Some(worker.repo.clone()), worker.job.item());
                tx.record(NewEvent { kind: EventKind::WORKER_USAGE, repo, item, actor: actor.clone(), data });
            }
            worker.agent = agent;
            worker.log_bytes = Some(log_bytes);
            let sign = doubt::sign(&outcome, &steps);
            let at_once = matches!(sign, Some(Sign::Failed { .. }));
            if let Some(sign) = sign {
                doubt::note(tx, outpost, sign, &actor).await?;
            }
            if let (Job::Attempt(job), false) = (&worker.job, left.is_empty()) {
                let data = json!({ "worker": id, "attempt": job.attempt, "left": left });
                let (repo, item) = (Some(worker.repo.clone()), Some(job.item));
                tx.record(NewEvent { kind: EventKind::WORK_LEFT, repo, item, actor: actor.clone(), data });
            }
            let finish = Finish { exit_code, log_tail, left, at_once, actor: &actor };
            match (outcome, worker.job.clone()) {
                (Outcome::Attempt(outcome), Job::Attempt(job)) => {
                    finish.attempt(tx, worker, job, outcome, branch_is_here).await?;
                }
                (Outcome::Gate(outcome), Job::Gate(job)) => finish.gate(tx, worker, job, outcome).await?,
                // Refused above.
                (Outcome::Attempt(_), Job::Gate(_)) | (Outcome::Gate(_), Job::Attempt(_)) => {}
            }
        }
    }
    Ok(answer(None))
}

/// The longest that an item waits since an agent says that its account is limited.
const LONGEST_LIMIT: Duration = Duration::from_hours(8 * 24);

/// Records a report that was refused; the event is part of the audit.
fn refuse(
    tx: &mut Tx,
    caller: &Actor,
    job: &Job,
    answer: impl FnOnce(Option<String>) -> Acknowledged,
    why: String,
) -> Acknowledged {
    let data = json!({ "job": job, "attempt": job.attempt().map(|job| job.attempt), "reason": why });
    tx.record(NewEvent { kind: EventKind::REPORT_REFUSED, repo: None, item: job.item(), actor: caller.clone(), data });
    answer(Some(why))
}

/// The end of a worker, as its outpost tells it.
struct Finish<'a> {
    exit_code: Option<i32>,
    log_tail: String,
    left: Box<Leftovers>,
    /// It failed within seconds.
    at_once: bool,
    actor: &'a Actor,
}

impl Finish<'_> {
    async fn attempt(
        self,
        tx: &mut Tx,
        worker: Worker,
        job: AttemptJob,
        outcome: AttemptOutcome,
        branch_is_here: bool,
    ) -> Result<(), ServiceError> {
        let Self { exit_code, log_tail, left, at_once, actor } = self;
        let AttemptJob { item, attempt, role } = job;
        let repo = worker.repo.clone();
        let held = tx.get(&item).await?.filter(|item| item.worker() == Some(worker.id));
        let owns = held.is_some();
        let outpost = worker.outpost.clone();
        let is_suspect = tx.get(&outpost).await?.is_some_and(|outpost| outpost.suspicion.is_some());
        let is_unfit = matches!(outcome, AttemptOutcome::Unfit { .. });
        let fault = worker.agent.as_ref().and_then(|agent| agent.fault.as_ref());
        let has_no_login = is_unfit && fault.is_some_and(|fault| fault.kind == FaultKind::NotLoggedIn);
        match outcome {
            AttemptOutcome::Committed { head } if branch_is_here => {
                transition::apply_to(tx, worker, WorkerEvent::Completed { exit_code }, actor).await?;
                if !owns {
                    return Ok(());
                }
                let change = Change {
                    id: tx.next_id::<ChangeId>(),
                    repo,
                    item,
                    attempt,
                    head,
                    role: Some(role),
                    source: None,
                    own: false,
                    direct: None,
                    left_out: left.files_in_words(),
                    protection: None,
                    state: ChangeState::Queued,
                    created_at: tx.now(),
                    updated_at: tx.now(),
                };
                entries::queue(tx, &change, actor);
                transition::apply(tx, item, ItemEvent::Delivered { attempt, change: change.id }, actor).await?;
                Ok(())
            }
            AttemptOutcome::NothingToDo { reason } => {
                transition::apply_to(tx, worker, WorkerEvent::Completed { exit_code }, actor).await?;
                if !owns {
                    return Ok(());
                }
                let way = tx.get(&repo).await?.map_or(NothingToDo::Block, |repo| repo.nothing_to_do);
                transition::apply(tx, item, ItemEvent::NothingToDo { attempt, reason, way }, actor).await.map(|_| ())
            }
            AttemptOutcome::Committed { head } => {
                let reason = format!("its commits ({}) did not arrive at the coordinator", head.short());
                lost_as(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason, None, actor)
                    .await
            }
            AttemptOutcome::Lost { reason } => {
                let event = WorkerEvent::Failed { exit_code, reason: reason.clone() };
                let avoid = reason.starts_with(NO_WORKSPACE).then_some(outpost);
                lost_as(tx, worker, event, reason, avoid, actor).await
            }
            AttemptOutcome::NotSetUp { reason } => {
                let event = WorkerEvent::Failed { exit_code, reason: reason.clone() };
                lost_as(tx, worker, event, reason, Some(outpost), actor).await
            }
            AttemptOutcome::Failed { reason }
            | AttemptOutcome::Unfit { reason }
            | AttemptOutcome::Stopped { reason } => {
                transition::apply_to(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, actor)
                    .await?;
                let Some(held) = held else { return Ok(()) };
                let avoid = at_once.then(|| outpost.clone());
                // Until the same has come out elsewhere, or once more where there is no other outpost, the host is to
                // blame: for a command that is not there, and for what a host that is suspect does.
                // A login that is refused is never the item's fault.
                let is_of_host = (is_unfit || (at_once && is_suspect)) && held.avoid.is_empty();
                let event = if is_of_host || has_no_login {
                    let retry_at = tx.now().plus(pause_after(held.losses));
                    let reason = format!("{reason}, on outpost {outpost}, which may be to blame");
                    ItemEvent::AttemptLost { attempt, reason, retry_at, avoid }
                } else {
                    let max_attempts = max_attempts(tx, &repo).await?;
                    ItemEvent::AttemptFailed { attempt, reason, detail: log_tail, max_attempts, avoid }
                };
                transition::apply(tx, item, event, actor).await.map(|_| ())
            }
        }
    }

    /// Applies the result of a gate to its trial. The merge queue decides about the changes.
    async fn gate(
        self,
        tx: &mut Tx,
        worker: Worker,
        job: GateJob,
        outcome: GateRunOutcome,
    ) -> Result<(), ServiceError> {
        let Self { exit_code, log_tail, left: _, at_once: _, actor } = self;
        let (id, outpost) = (worker.id, worker.outpost.clone());
        let trial = tx.get(&job.trial).await?.filter(|trial| trial.run_of(id).is_some());
        let lost = |reason: String| (WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason);
        let (commit, tree, verdict) = match outcome {
            GateRunOutcome::Judged { commit, tree, verdicts } => match verdicts.into_iter().next() {
                Some(verdict) if verdict.gate == job.gate => (commit, tree, verdict),
                Some(_) | None => {
                    let (event, reason) = lost("its outpost reported another gate".to_owned());
                    return lost_as(tx, worker, event, reason, None, actor).await;
                }
            },
            GateRunOutcome::Lost { reason } | GateRunOutcome::Stopped { reason } => {
                let avoid = reason.starts_with(NO_WORKSPACE).then_some(outpost);
                let (event, reason) = lost(reason);
                return lost_as(tx, worker, event, reason, avoid, actor).await;
            }
            // It could not be started as assigned: it runs on another outpost and, if that fails too, counts as failed.
            GateRunOutcome::Failed { reason } => {
                let event = WorkerEvent::Failed { exit_code, reason: reason.clone() };
                transition::apply_to(tx, worker, event, actor).await?;
                let Some(trial) = trial else { return Ok(()) };
                let retry_at = tx.now().plus(pause_after(trial.run_of(id).map_or(0, |run| run.excuses)));
                let verdict = GateVerdict {
                    gate: job.gate,
                    outcome: GateOutcome::Failed,
                    reason,
                    metrics: BTreeMap::new(),
                    findings: vec![],
                    duration_ms: 0,
                };
                let event = TrialEvent::GateExcused { worker: id, outpost, verdict, retry_at };
                return transition::apply(tx, trial.id, event, actor).await.map(|_| ());
            }
        };
        // Only a result for this very tree counts; another tree's proves nothing.
        if trial.as_ref().is_some_and(|trial| trial.candidate.commit != commit || trial.candidate.tree != tree) {
            let (event, reason) = lost(format!("its outpost gated {}, which is not the candidate", commit.short()));
            return lost_as(tx, worker, event, reason, None, actor).await;
        }
        let ended = match verdict.outcome {
            GateOutcome::Passed => WorkerEvent::Completed { exit_code },
            GateOutcome::Failed | GateOutcome::TimedOut | GateOutcome::NotFound => {
                WorkerEvent::Failed { exit_code, reason: verdict.reason.clone() }
            }
        };
        transition::apply_to(tx, worker, ended, actor).await?;
        let Some(trial) = trial else { return Ok(()) };
        let event = match verdict.outcome {
            GateOutcome::Passed => TrialEvent::GatePassed { worker: id, verdict },
            GateOutcome::Failed => {
                let detail = detail(&verdict, &log_tail);
                TrialEvent::GateFailed { worker: id, verdict, detail }
            }
            GateOutcome::TimedOut | GateOutcome::NotFound => {
                let excuses = trial.run_of(id).map_or(0, |run| run.excuses);
                let retry_at = tx.now().plus(pause_after(excuses));
                TrialEvent::GateExcused { worker: id, outpost, verdict, retry_at }
            }
        };
        transition::apply(tx, trial.id, event, actor).await.map(|_| ())
    }
}

/// The details of a failed gate for the next attempt: the findings of its reports, or else the end of its output.
fn detail(verdict: &GateVerdict, log_tail: &str) -> String {
    let findings = verdict.findings.iter().fold(String::new(), |text, finding| text + &finding.to_string() + "\n");
    if findings.is_empty() { log_tail.to_owned() } else { format!("{findings}\n{log_tail}") }
}

async fn max_attempts(tx: &mut Tx, repo: &sprint_core::ids::RepoName) -> Result<u32, ServiceError> {
    Ok(tx.get(repo).await?.map_or(sprint_core::repo::DEFAULT_MAX_ATTEMPTS, |repo| repo.max_attempts))
}

/// Marks a worker as lost: its slot and its work are free again, and no attempt counts as failed.
pub(crate) async fn lose(tx: &mut Tx, worker: Worker, reason: String, actor: &Actor) -> Result<(), ServiceError> {
    lost_as(tx, worker, WorkerEvent::Lost { reason: reason.clone() }, reason, None, actor).await
}

/// Ends a worker by `event` and gives its work back without blame; outposts other than the one to avoid are tried first.
async fn lost_as(
    tx: &mut Tx,
    worker: Worker,
    event: WorkerEvent,
    reason: String,
    avoid: Option<OutpostName>,
    actor: &Actor,
) -> Result<(), ServiceError> {
    let (id, job) = (worker.id, worker.job.clone());
    let fault = worker.agent.as_ref().and_then(|agent| agent.fault.as_ref());
    // An agent's word; a week is the longest limit that accounts have.
    let limited_until = fault.and_then(|fault| fault.until).map(|until| until.min(tx.now().plus(LONGEST_LIMIT)));
    transition::apply_to(tx, worker, event, actor).await?;
    match job {
        Job::Gate(GateJob { trial, gate: _ }) => {
            let Some(found) = tx.get(&trial).await? else { return Ok(()) };
            let Some(run) = found.run_of(id) else { return Ok(()) };
            let retry_at = tx.now().plus(pause_after(run.losses));
            let event = TrialEvent::GateLost { worker: id, reason, retry_at, avoid };
            transition::apply(tx, trial, event, actor).await.map(|_| ())
        }
        Job::Attempt(AttemptJob { item, attempt, role: _ }) => {
            let Some(held) = tx.get(&item).await?.filter(|item| item.worker() == Some(id)) else { return Ok(()) };
            // An account that is limited is not asked before its limit ends.
            let retry_at = tx.now().plus(pause_after(held.losses)).max(limited_until.unwrap_or_default());
            let event = ItemEvent::AttemptLost { attempt, reason, retry_at, avoid };
            transition::apply(tx, item, event, actor).await.map(|_| ())
        }
    }
}
