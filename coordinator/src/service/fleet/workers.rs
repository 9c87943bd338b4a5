//! Workers, as people see them.

use sprint_core::act::Act;
use sprint_core::ids::WorkerId;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::WorkerFilter;
use sprint_core::worker::Worker;

use crate::service::fleet::connections::{ScreenOutput, TerminalEnd, Typed};
use crate::service::{Coordinator, ServiceError, transition};

pub use crate::service::fleet::outposts::stop_worker as stop;

/// # Errors
/// [`Code::WorkerNotFound`].
pub async fn get(sprint: &Coordinator, id: WorkerId) -> Result<Worker, ServiceError> {
    sprint.store.get(&id).await?.ok_or_else(|| transition::missing(&id))
}

/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator, filter: &WorkerFilter) -> Result<Vec<Worker>, ServiceError> {
    Ok(sprint.store.workers(filter).await?)
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
