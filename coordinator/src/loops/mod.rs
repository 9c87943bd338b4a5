//! The loops: no input, level-triggered. They wake on a notice or a slow tick, read the
//! state, act, and are safe to run twice. One driver runs them all.

mod driver;
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
    tasks.spawn(driver::run(identity::Identity { local }, Arc::clone(sprint), stop.clone()));
    tasks.spawn(driver::run(scheduler::Scheduler, Arc::clone(sprint), stop.clone()));
    tasks.spawn(driver::run(pipeline::Pipeline, Arc::clone(sprint), stop.clone()));
    tasks.spawn(driver::run(supervisor::Supervisor, Arc::clone(sprint), stop.clone()));
    tasks.spawn(driver::run(merger::Merger::default(), Arc::clone(sprint), stop.clone()));
}
