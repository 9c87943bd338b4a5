//! Workers, as people see them.

use serde_json::{Map, Value, json};
use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::agent::AgentSaid;
use sprint_core::ids::{ItemId, OutpostName, RepoName, WorkerId};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::WorkerFilter;
use sprint_core::time::Timestamp;
use sprint_core::worker::{Worker, WorkerEffect, WorkerEvent};

use crate::service::fleet::connections::{ScreenOutput, TerminalEnd, Typed};
use crate::service::transition::{Done, Machine};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::{Notice, Page, Tx};

pub use crate::service::fleet::outposts::stop_worker as stop;

impl Machine for Worker {
    type Event = WorkerEvent;
    type Effect = WorkerEffect;
    const LISTED_BY: Option<Act> = Some(Act::ListWorkers);

    fn step(&mut self, event: WorkerEvent, now: Timestamp) -> Result<Vec<WorkerEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), self.job.item())
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        data.insert("worker".to_owned(), json!(self.id));
    }

    fn carry_out<'t>(&'t self, effect: WorkerEffect, tx: &'t mut Tx, _: &'t Actor) -> Done<'t> {
        match effect {
            WorkerEffect::Stop => transition::notify(tx, [Notice::Outpost(self.outpost.clone())]),
            // More can be gated at a time, too.
            WorkerEffect::FreeSlot => transition::notify(tx, [Notice::Scheduler, Notice::Merger]),
        }
    }
}

/// # Errors
/// There is no such worker.
pub async fn get(sprint: &Coordinator, id: WorkerId) -> Result<Worker, ServiceError> {
    let worker = sprint.store.get(&id).await?.ok_or_else(|| transition::missing(&id))?;
    Ok(with_agent(sprint, worker))
}

/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator, filter: &WorkerFilter) -> Result<Page<Worker>, ServiceError> {
    let mut page = sprint.store.workers_page(filter).await?;
    page.rows = page.rows.into_iter().map(|worker| with_agent(sprint, worker)).collect();
    Ok(page)
}

/// The worker with its agent's last word, while it is at work.
fn with_agent(sprint: &Coordinator, mut worker: Worker) -> Worker {
    if worker.state.is_live() && worker.agent.is_none() {
        worker.agent = sprint.activities.of(&worker.outpost, worker.id).map(Box::new);
    }
    worker
}

/// Takes what an outpost says of the agent of one of its workers; of another's it is passed over.
pub fn note_agent(sprint: &Coordinator, outpost: &OutpostName, worker: WorkerId, said: AgentSaid) {
    let live = sprint.store.live().live_workers(outpost).iter().map(|worker| worker.id).collect();
    sprint.activities.take(outpost, &live, worker, said.bounded());
}

/// Opens a worker's terminal through its outpost.
///
/// # Errors
/// [`Code::WorkerNoTerminal`], or [`Code::OutpostOffline`].
pub async fn attach(
    sprint: &Coordinator,
    id: WorkerId,
    size: (u32, u32),
) -> Result<TerminalEnd<Typed, ScreenOutput>, ServiceError> {
    let worker = get(sprint, id).await?;
    if worker.terminal.is_none() {
        let why = format!("worker {id} has no terminal: it is {}", worker.state.name());
        return Err(Refusal::new(Code::WorkerNoTerminal, why).next(Act::ReadLog(id)).into());
    }
    sprint.fleet.attach(&worker.outpost, id, size).ok_or_else(|| {
        let why = format!("outpost \"{}\" of worker {id} is not connected; try again when it is back", worker.outpost);
        ServiceError::new(Code::OutpostOffline, why)
    })
}
