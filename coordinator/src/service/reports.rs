//! What outposts report of their workers, applied once and in order.

use std::collections::HashMap;

use serde_json::json;
use sprint_core::access::Caller;
use sprint_core::change::{Change, ChangeEvent, ChangeState};
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{Attempt, ItemId, OutpostName, WorkerId, work_ref};
use sprint_core::item::ItemEvent;
use sprint_core::job::{Outcome, Report, ReportBody};
use sprint_core::schedule::pause_after;
use sprint_core::worker::{Worker, WorkerEvent};

use super::{Actor, ServiceError, Sprint, transition};
use crate::git::GitError;
use crate::store::{Notice, Tx};

/// The answer to one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub worker: WorkerId,
    pub seq: u64,
    /// Why it changed nothing, when it was refused.
    pub refused: Option<String>,
    /// Nothing of this worker is needed any more on the outpost.
    pub forget: bool,
}

/// Applies an outpost's reports in one transaction.
///
/// A report that was applied before is acknowledged again; one that speaks for an attempt
/// that is over is refused by number, and its work stays under its refs.
///
/// # Errors
/// What the store or git says; then none of them was applied.
pub async fn apply(
    sprint: &Sprint,
    caller: &Caller,
    outpost: &OutpostName,
    reports: Vec<Report>,
) -> Result<Vec<Acknowledged>, ServiceError> {
    let arrived = arrived(sprint, &reports).await?;
    let (caller, outpost) = (Actor::Caller(caller.clone()), outpost.clone());
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut answers = Vec::with_capacity(reports.len());
                for report in reports {
                    let branch_is_here = arrived.get(&report.worker).copied().unwrap_or(true);
                    answers.extend(one(tx, &caller, &outpost, report, branch_is_here).await?);
                }
                Ok(answers)
            })
        })
        .await
}

/// For each report of commits: whether they are really here. Looked up before the transaction,
/// which must not wait for git; a ref of an attempt only ever gains commits.
async fn arrived(sprint: &Sprint, reports: &[Report]) -> Result<HashMap<WorkerId, bool>, ServiceError> {
    let mut arrived = HashMap::new();
    for report in reports {
        if let ReportBody::Finished { outcome: Outcome::Committed { head }, .. } = &report.body
            && let Some(worker) = sprint.store.worker(report.worker).await?
        {
            let found = match sprint.git.get(&worker.repo) {
                Ok(repo) => repo.resolve(&work_ref(worker.item, worker.attempt))?,
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
) -> Result<Option<Acknowledged>, ServiceError> {
    let Report { worker: id, item, attempt, seq, body } = report;
    let finished = matches!(body, ReportBody::Finished { .. });
    let actor = Actor::Outpost(outpost.clone());
    let answer = |refused: Option<String>| Acknowledged { worker: id, seq, refused, forget: finished };
    let Some(mut worker) = tx.worker(id).await?.filter(|worker| worker.outpost == *outpost) else {
        let why = format!("worker {id} is not one of outpost \"{outpost}\"");
        return Ok(Some(refuse(tx, caller, item, attempt, answer, why)));
    };
    if (item, attempt) != (worker.item, worker.attempt) {
        let why = format!("worker {id} is on attempt {} of item {}", worker.attempt, worker.item);
        return Ok(Some(refuse(tx, caller, item, attempt, answer, why)));
    }
    if seq <= worker.report_seq {
        return Ok(Some(answer(None)));
    }
    if !worker.state.is_live() {
        let why = format!("attempt {attempt} of item {item} is over: worker {id} is {}", worker.state.name());
        return Ok(Some(refuse(tx, caller, item, attempt, answer, why)));
    }
    if seq != worker.report_seq + 1 {
        // An earlier one is still under way; the outpost sends all again, in order.
        tracing::warn!(%outpost, worker = %id, seq, expected = worker.report_seq + 1, "a report came out of order");
        return Ok(None);
    }
    worker.report_seq = seq;
    match body {
        ReportBody::Accepted => {
            transition::loaded_worker(tx, worker, WorkerEvent::Accepted, &actor)?;
        }
        ReportBody::Started { terminal } => {
            transition::loaded_worker(tx, worker, WorkerEvent::Started { terminal }, &actor)?;
        }
        ReportBody::Exited { exit_code } => {
            transition::loaded_worker(tx, worker, WorkerEvent::Exited { exit_code }, &actor)?;
        }
        ReportBody::SentBack { reason } => {
            let record = NewEvent {
                kind: EventKind::WorkerSentBack,
                repo: Some(worker.repo.clone()),
                item: Some(worker.item),
                actor: actor.clone(),
                data: json!({ "worker": id, "reason": reason }),
            };
            tx.save_worker(worker, record);
        }
        ReportBody::Finished { exit_code, steps: _, wip: _, log_bytes, log_tail, outcome } => {
            worker.log_bytes = Some(log_bytes);
            let finish = Finish { exit_code, log_tail, actor: &actor };
            match worker.change {
                None => finish.item_worker(tx, worker, outcome, branch_is_here).await?,
                Some(change) => finish.gate_worker(tx, worker, change, outcome).await?,
            }
        }
    }
    Ok(Some(answer(None)))
}

/// Records a report that counts for nothing; that is part of the audit.
fn refuse(
    tx: &mut Tx,
    caller: &Actor,
    item: ItemId,
    attempt: Attempt,
    answer: impl FnOnce(Option<String>) -> Acknowledged,
    why: String,
) -> Acknowledged {
    let data = json!({ "attempt": attempt, "reason": why });
    tx.record(NewEvent { kind: EventKind::ReportRefused, repo: None, item: Some(item), actor: caller.clone(), data });
    answer(Some(why))
}

/// The end of a worker, as its outpost tells it.
struct Finish<'a> {
    exit_code: Option<i32>,
    log_tail: String,
    actor: &'a Actor,
}

impl Finish<'_> {
    async fn item_worker(
        self,
        tx: &mut Tx,
        worker: Worker,
        outcome: Outcome,
        branch_is_here: bool,
    ) -> Result<(), ServiceError> {
        let Self { exit_code, log_tail, actor } = self;
        let (item, attempt, repo) = (worker.item, worker.attempt, worker.repo.clone());
        let owns = tx.item(item).await?.is_some_and(|item| item.worker() == Some(worker.id));
        match outcome {
            Outcome::Committed { head } if branch_is_here => {
                transition::loaded_worker(tx, worker, WorkerEvent::Completed { exit_code }, actor)?;
                if !owns {
                    return Ok(());
                }
                let change = Change {
                    id: tx.next_change(),
                    repo: repo.clone(),
                    item,
                    attempt,
                    head,
                    state: ChangeState::Queued,
                    losses: 0,
                    not_before: None,
                    created_at: tx.now(),
                    updated_at: tx.now(),
                };
                let id = change.id;
                let data = json!({ "change": id, "attempt": attempt, "head": change.head });
                let record = NewEvent {
                    kind: EventKind::ChangeQueued,
                    repo: Some(repo),
                    item: Some(item),
                    actor: actor.clone(),
                    data,
                };
                tx.save_change(change, record);
                transition::item(tx, item, ItemEvent::Delivered { attempt, change: id }, actor).await?;
                tx.notify(Notice::Merger);
                Ok(())
            }
            Outcome::Committed { head } => {
                let reason = format!("its commits ({}) did not arrive at the coordinator", head.short());
                lost_as(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason, actor).await
            }
            Outcome::Lost { reason } => {
                lost_as(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason, actor).await
            }
            Outcome::Passed { .. } => {
                let reason = "its outpost reported gates for a worker on an item".to_owned();
                lost_as(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason, actor).await
            }
            Outcome::Failed { reason } | Outcome::Stopped { reason } => {
                transition::loaded_worker(
                    tx,
                    worker,
                    WorkerEvent::Failed { exit_code, reason: reason.clone() },
                    actor,
                )?;
                if !owns {
                    return Ok(());
                }
                let max_attempts = max_attempts(tx, &repo).await?;
                let event = ItemEvent::AttemptFailed { attempt, reason, detail: log_tail, max_attempts };
                transition::item(tx, item, event, actor).await.map(|_| ())
            }
        }
    }

    async fn gate_worker(
        self,
        tx: &mut Tx,
        worker: Worker,
        change: sprint_core::ids::ChangeId,
        outcome: Outcome,
    ) -> Result<(), ServiceError> {
        let Self { exit_code, log_tail, actor } = self;
        let (id, item, repo) = (worker.id, worker.item, worker.repo.clone());
        let awaited = tx.change(change).await?.is_some_and(
            |change| matches!(change.state, ChangeState::Gating { worker: Some(awaited), .. } if awaited == id),
        );
        match outcome {
            Outcome::Passed { commit, tree } => {
                transition::loaded_worker(tx, worker, WorkerEvent::Completed { exit_code }, actor)?;
                if awaited {
                    transition::change(tx, change, ChangeEvent::GatesPassed { commit, tree }, actor).await?;
                }
                Ok(())
            }
            Outcome::Failed { reason } => {
                transition::loaded_worker(
                    tx,
                    worker,
                    WorkerEvent::Failed { exit_code, reason: reason.clone() },
                    actor,
                )?;
                if awaited {
                    transition::change(tx, change, ChangeEvent::GatesFailed { reason: reason.clone() }, actor).await?;
                    let max_attempts = max_attempts(tx, &repo).await?;
                    let event = ItemEvent::Rejected { change, reason, detail: log_tail, max_attempts };
                    transition::item(tx, item, event, &Actor::MergeQueue).await?;
                }
                Ok(())
            }
            Outcome::Lost { reason } | Outcome::Stopped { reason } => {
                lost_as(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason, actor).await
            }
            Outcome::Committed { .. } => {
                let reason = "its outpost reported commits for a gate run".to_owned();
                lost_as(tx, worker, WorkerEvent::Failed { exit_code, reason: reason.clone() }, reason, actor).await
            }
        }
    }
}

async fn max_attempts(tx: &mut Tx, repo: &sprint_core::ids::RepoName) -> Result<u32, ServiceError> {
    Ok(tx.repo(repo).await?.map_or(sprint_core::repo::DEFAULT_MAX_ATTEMPTS, |repo| repo.max_attempts))
}

/// Takes a worker for lost: its slot and its work are free again, and nobody is blamed.
pub(super) async fn lose(tx: &mut Tx, worker: Worker, reason: String, actor: &Actor) -> Result<(), ServiceError> {
    lost_as(tx, worker, WorkerEvent::Lost { reason: reason.clone() }, reason, actor).await
}

/// Ends a worker by `event` and gives its work back without blame.
async fn lost_as(
    tx: &mut Tx,
    worker: Worker,
    event: WorkerEvent,
    reason: String,
    actor: &Actor,
) -> Result<(), ServiceError> {
    let (id, item, attempt, change) = (worker.id, worker.item, worker.attempt, worker.change);
    transition::loaded_worker(tx, worker, event, actor)?;
    if let Some(change) = change {
        let Some(held) = tx.change(change).await? else { return Ok(()) };
        if matches!(held.state, ChangeState::Gating { worker: Some(awaited), .. } if awaited == id) {
            let retry_at = tx.now().plus(pause_after(held.losses));
            transition::change(tx, change, ChangeEvent::GatesLost { reason, retry_at }, actor).await?;
        }
        return Ok(());
    }
    let Some(held) = tx.item(item).await?.filter(|item| item.worker() == Some(id)) else { return Ok(()) };
    let retry_at = tx.now().plus(pause_after(held.losses));
    transition::item(tx, item, ItemEvent::AttemptLost { attempt, reason, retry_at }, actor).await.map(|_| ())
}
