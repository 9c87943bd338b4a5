//! The loops: no input, level-triggered. They wake on a notice or a slow tick, read the
//! state, act, and are safe to run twice. One driver runs them all.

mod driver;
mod housekeeper;
mod identity;
mod merger;
mod pipeline;
mod scheduler;
mod supervisor;

use std::sync::Arc;

use crate::service::{Coordinator, LocalAdmin};

/// Starts every loop; each ends when the coordinator stops.
pub fn start(sprint: &Arc<Coordinator>, local: LocalAdmin) {
    let tasks = &sprint.tasks;
    tasks.spawn(driver::run(identity::Identity { local }, Arc::clone(sprint)));
    tasks.spawn(driver::run(scheduler::Scheduler, Arc::clone(sprint)));
    tasks.spawn(driver::run(pipeline::Pipeline, Arc::clone(sprint)));
    tasks.spawn(driver::run(supervisor::Supervisor, Arc::clone(sprint)));
    tasks.spawn(driver::run(housekeeper::Housekeeper::default(), Arc::clone(sprint)));
    tasks.spawn(driver::run(merger::Merger::default(), Arc::clone(sprint)));
}
