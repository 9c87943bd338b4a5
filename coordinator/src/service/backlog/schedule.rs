//! The scheduler: gives waiting work to free slots. What it decides is core's; this loads and commits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{CommitId, ItemId, OutpostName, RepoName, WorkerId};
use sprint_core::item::{Item, ItemEvent, Lease};
use sprint_core::job::{AttemptJob, EarlierWork, GateJob, Job, Role};
use sprint_core::note::NoteCount;
use sprint_core::pipeline::{self, command_line};
use sprint_core::schedule::{Placement, Work, urgency};
use sprint_core::trial::{RunState, Trial, TrialEvent};
use sprint_core::worker::{Worker, WorkerState};

use crate::service::backlog::earlier_work;
use crate::service::capacity::{Board, gate_request, request_of};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::{Notice, Tx};

/// Items looked at in one step; more steps follow while slots are free.
const PAGE: usize = 256;

/// Gives out what can be given out now; answers when the next paused work can go, if any is paused.
///
/// # Errors
/// What the store or git says; what was given out before stays given out.
pub async fn pass(sprint: &Coordinator) -> Result<Option<Duration>, ServiceError> {
    let mut board = Board::load(sprint);
    let now = sprint.now();
    // An outpost that is suspect is tried again after its pause.
    let suspect =
        sprint.store.live().outposts().into_iter().filter_map(|outpost| Some(outpost.suspicion.as_ref()?.retry_at));
    let mut wake: Option<Duration> = suspect.map(|at| at.since(now)).filter(|pause| !pause.is_zero()).min();
    if board.outposts.is_empty() || board.is_full() {
        return Ok(wake);
    }
    let mut pauses = |until: Option<sprint_core::time::Timestamp>| {
        let pause = until.map(|until| until.since(now)).filter(|pause| !pause.is_zero());
        if let Some(pause) = pause {
            wake = Some(wake.map_or(pause, |earlier| earlier.min(pause)));
        }
        pause.is_some()
    };

    let mut gates = Vec::new();
    for trial in waiting_trials(sprint) {
        for run in trial.startable() {
            if let RunState::Waiting { not_before } = run.state
                && !pauses(not_before)
            {
                gates.push(gate_request(&trial, run));
            }
        }
    }
    let placements = board.decide(&gates);
    give_out(sprint, placements, Starts::default()).await?;

    let mut after = (i64::MIN, ItemId::default());
    while !board.is_full() {
        let page = sprint.store.live().assignable(after, PAGE);
        let Some(last) = page.last() else { break };
        after = (urgency(last.priority, last.created_at), last.id);
        // Read after the items: what one of them needs may have landed a moment ago, and it must start from there.
        let tips = tips(sprint, &board);
        let mut requests = Vec::new();
        for item in &page {
            let Some(repo) = board.repos.get(&item.repo).filter(|repo| tips.contains_key(&repo.name)) else { continue };
            let role = pipeline::role(repo, item);
            if command_line(repo, item, role).is_some() && !pauses(item.not_before) {
                requests.push(request_of(Some(repo), item, role));
            }
        }
        let placements = board.decide(&requests);
        let resumed = resumed(sprint, &board, &tips, &page, &placements);
        give_out(sprint, placements, Starts { tips, resumed }).await?;
    }
    Ok(wake)
}

/// The commits that new work starts from. A repo whose branch cannot be read gets no work,
/// and holds up no other.
fn tips(sprint: &Coordinator, board: &Board) -> BTreeMap<RepoName, CommitId> {
    let mut tips = BTreeMap::new();
    for repo in board.repos.values() {
        match sprint.git.get(&repo.name).and_then(|git| git.tip(&repo.branch)) {
            Ok(tip) => {
                tips.insert(repo.name.clone(), tip);
            }
            Err(error) => tracing::error!(repo = %repo.name, %error, "no work is given out: the branch cannot be read"),
        }
    }
    tips
}

/// What attempts start from.
#[derive(Debug, Clone, Default)]
struct Starts {
    tips: BTreeMap<RepoName, CommitId>,
    /// Earlier work, where there is any to be taken up.
    resumed: BTreeMap<ItemId, EarlierWork>,
}

/// Looked up before the transaction, which must not wait for git. An attempt whose earlier work cannot be read
/// starts without it.
fn resumed(
    sprint: &Coordinator,
    board: &Board,
    tips: &BTreeMap<RepoName, CommitId>,
    page: &[Arc<Item>],
    placements: &[Placement],
) -> BTreeMap<ItemId, EarlierWork> {
    let mut resumed = BTreeMap::new();
    for item in page.iter().filter(|item| placements.iter().any(|placement| placement.work == Work::Item(item.id))) {
        let (Some(repo), Some(tip)) = (board.repos.get(&item.repo), tips.get(&item.repo)) else { continue };
        let git = sprint.git.get(&repo.name).map_err(ServiceError::from);
        match git.and_then(|git| earlier_work::of(&git, repo, item, tip)) {
            Ok(Some(found)) => {
                resumed.insert(item.id, found);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(item = %item.id, %error, "its earlier work cannot be taken up"),
        }
    }
    resumed
}

/// Commits decisions in one transaction; one that has been overtaken is passed over.
async fn give_out(sprint: &Coordinator, placements: Vec<Placement>, mut starts: Starts) -> Result<(), ServiceError> {
    if placements.is_empty() {
        return Ok(());
    }
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for Placement { work, outpost } in placements {
                    match work {
                        Work::Item(item) => lease_item(tx, item, outpost, &mut starts).await?,
                        Work::Gate(gate) => lease_gate(tx, gate, outpost).await?,
                    }
                }
                Ok(())
            })
        })
        .await
}

async fn lease_item(tx: &mut Tx, id: ItemId, outpost: OutpostName, starts: &mut Starts) -> Result<(), ServiceError> {
    let Some(item) = tx.get(&id).await? else { return Ok(()) };
    let Some(base) = starts.tips.get(&item.repo) else { return Ok(()) };
    let Some(repo) = tx.get(&item.repo).await? else { return Ok(()) };
    // As it is now: it may be another than at the look.
    let role = pipeline::role(&repo, &item);
    let resumed = match &item.conflict {
        Some(conflict) if role == Role::Resolver => Some(conflict.start(id)),
        Some(_) | None => starts.resumed.remove(&id),
    };
    let attempt = item.attempt.next();
    let worker = tx.next_id::<WorkerId>();
    let lease = Lease { worker, outpost: outpost.clone() };
    match transition::apply(tx, id, ItemEvent::Leased { attempt, lease }, &Actor::Scheduler).await {
        Ok(_) => {}
        // Cancelled or edited since it was read: the next pass decides again.
        Err(ServiceError::Refused(_)) => return Ok(()),
        Err(error) => return Err(error),
    }
    let worker = Worker {
        id: worker,
        repo: item.repo,
        job: Job::Attempt(AttemptJob { item: id, attempt, role }),
        outpost,
        state: WorkerState::Assigned,
        base: base.clone(),
        resumed,
        stop_reason: None,
        terminal: None,
        assigned_at: tx.now(),
        started_at: None,
        ended_at: None,
        report_seq: 0,
        log_bytes: None,
        agent: None,
        progress: None,
        notes: NoteCount::default(),
    };
    add_worker(tx, worker);
    Ok(())
}

/// The trials that can still matter, of all repos.
fn waiting_trials(sprint: &Coordinator) -> Vec<Arc<Trial>> {
    sprint.store.live().all_trials()
}

async fn lease_gate(tx: &mut Tx, gate: GateJob, outpost: OutpostName) -> Result<(), ServiceError> {
    let worker = tx.next_id::<WorkerId>();
    let event = TrialEvent::GateAssigned { gate: gate.gate.clone(), worker };
    let trial = match transition::apply(tx, gate.trial, event, &Actor::Scheduler).await {
        Ok(trial) => trial,
        Err(ServiceError::Refused(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let worker = Worker {
        id: worker,
        base: trial.candidate.commit,
        resumed: None,
        repo: trial.repo,
        job: Job::Gate(gate),
        outpost,
        state: WorkerState::Assigned,
        stop_reason: None,
        terminal: None,
        assigned_at: tx.now(),
        started_at: None,
        ended_at: None,
        report_seq: 0,
        log_bytes: None,
        agent: None,
        progress: None,
        notes: NoteCount::default(),
    };
    add_worker(tx, worker);
    Ok(())
}

fn add_worker(tx: &mut Tx, worker: Worker) {
    let record = NewEvent {
        kind: EventKind::WORKER_ASSIGNED,
        repo: Some(worker.repo.clone()),
        item: worker.job.item(),
        actor: Actor::Scheduler,
        data: json!({
            "worker": worker.id, "role": worker.job.role(), "outpost": worker.outpost,
            "attempt": worker.job.attempt().map(|job| job.attempt), "base": worker.base, "gate": worker.job.gate(),
            "resumed": worker.resumed.as_ref().map(|resumed| resumed.attempt),
        }),
    };
    tx.notify(Notice::Outpost(worker.outpost.clone()));
    tx.save(worker, record);
}
