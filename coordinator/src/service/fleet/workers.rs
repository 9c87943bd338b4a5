//! Workers, as people see them.

use sprint_core::ids::WorkerId;
use sprint_core::worker::Worker;

use crate::service::fleet::connections::{Shown, TerminalEnd, Typed};
use crate::service::{Coordinator, ServiceError};
use crate::store::WorkerFilter;

pub use crate::service::fleet::outposts::stop_worker as stop;

/// # Errors
/// [`ServiceError::NotFound`].
pub async fn get(sprint: &Coordinator, id: WorkerId) -> Result<Worker, ServiceError> {
    sprint.store.get(&id).await?.ok_or_else(|| ServiceError::no_worker(id))
}

/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator, filter: &WorkerFilter) -> Result<Vec<Worker>, ServiceError> {
    Ok(sprint.store.workers(filter).await?)
}

/// Opens a worker's terminal through its outpost.
///
/// # Errors
/// [`ServiceError::Precondition`] when it has none, or its outpost is away.
pub async fn attach(
    sprint: &Coordinator,
    id: WorkerId,
    size: (u32, u32),
) -> Result<TerminalEnd<Typed, Shown>, ServiceError> {
    let worker = get(sprint, id).await?;
    if worker.terminal.is_none() {
        return Err(ServiceError::Precondition(format!(
            "worker {id} has no terminal: it is {}; read what it printed with: sprintctl worker logs {id}",
            worker.state.name()
        )));
    }
    sprint.fleet.attach(&worker.outpost, id, size).ok_or_else(|| {
        ServiceError::Precondition(format!(
            "outpost \"{}\" of worker {id} is not connected; try again when it is back",
            worker.outpost
        ))
    })
}
