//! The scheduler: gives waiting work to free slots. What it decides is core's; this loads and commits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sprint_core::change::ChangeEvent;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{ChangeId, CommitId, ItemId, OutpostName, RepoName};
use sprint_core::item::{Item, ItemEvent, Lease, Priority};
use sprint_core::outpost::OutpostState;
use sprint_core::repo::Repo;
use sprint_core::schedule::{Capacity, Limits, Placement, Request, Work, assign, urgency};
use sprint_core::worker::{Role, Worker, WorkerState};

use super::assignment::command_line;
use super::{Actor, ServiceError, Sprint, transition};
use crate::store::{Notice, Tx};

/// Items looked at in one step; more steps follow while slots are free.
const PAGE: u32 = 256;

/// The fleet and its limits, as one pass of the scheduler sees them.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pub(super) repos: BTreeMap<RepoName, Repo>,
    pub(super) outposts: Vec<Capacity>,
    pub(super) limits: Limits,
}

impl Board {
    pub(super) async fn load(sprint: &Sprint) -> Result<Self, ServiceError> {
        let repos = sprint.store.repos().await?.into_iter().map(|repo| (repo.name.clone(), repo)).collect();
        let mut board = Self { repos, ..Self::default() };
        for outpost in sprint.store.outposts().await? {
            if outpost.state == OutpostState::Online && sprint.fleet.is_live(&outpost.name) {
                board.outposts.push(Capacity {
                    outpost: outpost.name,
                    labels: outpost.labels,
                    max_workers: outpost.max_workers,
                    active: 0,
                    active_by_repo: BTreeMap::new(),
                });
            }
        }
        for repo in board.repos.values() {
            board.limits.max.extend(repo.limits.iter().map(|(role, max)| ((repo.name.clone(), *role), *max)));
        }
        for (outpost, repo, role, count) in sprint.store.slots_in_use().await? {
            board.occupy(&outpost, repo, role, count);
        }
        Ok(board)
    }

    fn occupy(&mut self, outpost: &OutpostName, repo: RepoName, role: Role, count: u32) {
        *self.limits.active.entry((repo.clone(), role)).or_default() += count;
        if let Some(capacity) = self.outposts.iter_mut().find(|capacity| capacity.outpost == *outpost) {
            capacity.active += count;
            *capacity.active_by_repo.entry(repo).or_default() += count;
        }
    }

    fn is_full(&self) -> bool {
        self.outposts.iter().all(|outpost| outpost.active >= outpost.max_workers)
    }

    /// Decides for `requests`, and counts the decisions as taken.
    fn decide(&mut self, requests: &[Request]) -> Vec<Placement> {
        let placements = assign(requests, &self.outposts, &self.limits);
        for Placement { work, outpost } in &placements {
            if let Some(request) = requests.iter().find(|request| request.work == *work) {
                self.occupy(outpost, request.repo.clone(), request.role, 1);
            }
        }
        placements
    }
}

/// What a ready item asks of the scheduler.
pub(super) fn request_of(item: &Item) -> Request {
    Request {
        work: Work::Item(item.id),
        repo: item.repo.clone(),
        role: Role::Developer,
        priority: item.priority,
        since: item.created_at,
        requires: item.requires.clone(),
    }
}

/// Gives out what can be given out now; answers when the next paused work can go, if any is paused.
///
/// # Errors
/// What the store or git says; what was given out before stays given out.
pub async fn pass(sprint: &Sprint) -> Result<Option<Duration>, ServiceError> {
    let mut board = Board::load(sprint).await?;
    if board.outposts.is_empty() || board.is_full() {
        return Ok(None);
    }
    let now = super::now();
    let mut wake: Option<Duration> = None;
    let mut pauses = |until: Option<sprint_core::time::Timestamp>| {
        let pause = until.map(|until| until.since(now)).filter(|pause| !pause.is_zero());
        if let Some(pause) = pause {
            wake = Some(wake.map_or(pause, |earlier| earlier.min(pause)));
        }
        pause.is_some()
    };

    let mut gates = Vec::new();
    for change in sprint.store.changes_to_gate().await? {
        if !pauses(change.not_before) {
            gates.push(Request {
                work: Work::Gate(change.id),
                repo: change.repo,
                role: Role::Gate,
                priority: Priority::Urgent,
                since: change.created_at,
                requires: BTreeMap::new(),
            });
        }
    }
    let placements = board.decide(&gates);
    give_out(sprint, placements, BTreeMap::new()).await?;

    let tips = tips(sprint, &board);
    let mut after = (i64::MIN, ItemId::default());
    while !board.is_full() {
        let page = sprint.store.assignable(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (urgency(last.priority, last.created_at), last.id);
        let mut requests = Vec::new();
        for item in &page {
            let Some(repo) = board.repos.get(&item.repo).filter(|repo| tips.contains_key(&repo.name)) else { continue };
            if command_line(repo, item, Role::Developer).is_some() && !pauses(item.not_before) {
                requests.push(request_of(item));
            }
        }
        let placements = board.decide(&requests);
        give_out(sprint, placements, tips.clone()).await?;
    }
    Ok(wake)
}

/// The commits that new work starts from. A repo whose branch cannot be read gets no work,
/// and holds up no other.
fn tips(sprint: &Sprint, board: &Board) -> BTreeMap<RepoName, CommitId> {
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

/// Commits decisions in one transaction; one that has been overtaken is passed over.
async fn give_out(
    sprint: &Sprint,
    placements: Vec<Placement>,
    tips: BTreeMap<RepoName, CommitId>,
) -> Result<(), ServiceError> {
    if placements.is_empty() {
        return Ok(());
    }
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for Placement { work, outpost } in placements {
                    match work {
                        Work::Item(item) => lease_item(tx, item, outpost, &tips).await?,
                        Work::Gate(change) => lease_gate(tx, change, outpost).await?,
                    }
                }
                Ok(())
            })
        })
        .await
}

async fn lease_item(
    tx: &mut Tx,
    id: ItemId,
    outpost: OutpostName,
    tips: &BTreeMap<RepoName, CommitId>,
) -> Result<(), ServiceError> {
    let Some(item) = tx.item(id).await? else { return Ok(()) };
    let Some(base) = tips.get(&item.repo) else { return Ok(()) };
    let attempt = item.attempt.next();
    let worker = tx.next_worker();
    let lease = Lease { worker, outpost: outpost.clone() };
    match transition::item(tx, id, ItemEvent::Leased { attempt, lease }, &Actor::Scheduler).await {
        Ok(_) => {}
        // Cancelled or edited since the look: the next pass decides anew.
        Err(ServiceError::Refused(_)) => return Ok(()),
        Err(error) => return Err(error),
    }
    let worker = Worker {
        id: worker,
        repo: item.repo,
        item: id,
        change: None,
        attempt,
        role: Role::Developer,
        outpost,
        state: WorkerState::Assigned,
        base: base.clone(),
        stop_reason: None,
        terminal: None,
        assigned_at: tx.now(),
        started_at: None,
        ended_at: None,
        report_seq: 0,
        log_bytes: None,
    };
    add_worker(tx, worker);
    Ok(())
}

async fn lease_gate(tx: &mut Tx, id: ChangeId, outpost: OutpostName) -> Result<(), ServiceError> {
    let worker = tx.next_worker();
    let change = match transition::change(tx, id, ChangeEvent::GateAssigned { worker }, &Actor::Scheduler).await {
        Ok(change) => change,
        Err(ServiceError::Refused(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(candidate) = change.candidate() else { return Ok(()) };
    let worker = Worker {
        id: worker,
        base: candidate.commit.clone(),
        repo: change.repo,
        item: change.item,
        change: Some(id),
        attempt: change.attempt,
        role: Role::Gate,
        outpost,
        state: WorkerState::Assigned,
        stop_reason: None,
        terminal: None,
        assigned_at: tx.now(),
        started_at: None,
        ended_at: None,
        report_seq: 0,
        log_bytes: None,
    };
    add_worker(tx, worker);
    Ok(())
}

fn add_worker(tx: &mut Tx, worker: Worker) {
    let record = NewEvent {
        kind: EventKind::WorkerAssigned,
        repo: Some(worker.repo.clone()),
        item: Some(worker.item),
        actor: Actor::Scheduler,
        data: json!({
            "worker": worker.id, "role": worker.role, "outpost": worker.outpost, "attempt": worker.attempt,
            "base": worker.base, "change": worker.change,
        }),
    };
    tx.notify(Notice::Outpost(worker.outpost.clone()));
    tx.save_worker(worker, record);
}
