//! The loops: no input, level-triggered. They wake on a notice or a slow tick, read the
//! state, act, and are safe to run twice.

mod identity;
mod merger;
mod pipeline;
mod scheduler;
mod supervisor;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::{Coordinator, LocalAdmin};

/// Starts every loop on `tasks`; each ends when `stop` is cancelled.
pub fn start(sprint: &Arc<Coordinator>, local: LocalAdmin, tasks: &TaskTracker, stop: &CancellationToken) {
    tasks.spawn(identity::run(Arc::clone(sprint), local, stop.clone()));
    tasks.spawn(scheduler::run(Arc::clone(sprint), stop.clone()));
    tasks.spawn(pipeline::run(Arc::clone(sprint), stop.clone()));
    tasks.spawn(supervisor::run(Arc::clone(sprint), stop.clone()));
    tasks.spawn(merger::run(Arc::clone(sprint), stop.clone()));
}
