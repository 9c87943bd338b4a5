//! What is measured, as of now.

use std::collections::BTreeMap;

use metrics::{counter, gauge};
use sprint_core::change::ChangeStateName;
use sprint_core::item::StageName;
use sprint_core::outpost::OutpostState;
use sprint_core::status::{CoordinatorStatus, LoopStatus};
use sprint_core::time::Timestamp;
use sprint_core::worker::WorkerStateName;

use super::status::status;
use crate::metrics as names;
use crate::service::{Coordinator, ServiceError};

/// Everything that is measured, in the text format of Prometheus.
///
/// # Errors
/// What the store says.
pub async fn text(sprint: &Coordinator) -> Result<String, ServiceError> {
    let status = status(sprint, "").await?;
    let CoordinatorStatus { items, workers, changes, outposts, merge_queues, loops, .. } = status;
    set_counts(names::ITEMS, &items, StageName::ALL.iter().map(|word| word.as_str()));
    set_counts(names::WORKERS, &workers, WorkerStateName::ALL.iter().map(|word| word.as_str()));
    set_counts(names::CHANGES, &changes, ChangeStateName::ALL.iter().map(|word| word.as_str()));
    set_counts(names::OUTPOSTS, &outposts, OutpostState::ALL.iter().map(|word| word.as_str()));
    for queue in merge_queues {
        gauge!(names::QUEUE.name, names::QUEUE.label => queue.repo.to_string()).set(number(queue.changes.len() as u64));
    }
    set_ages(sprint);
    for status in loops {
        set_loop(status, sprint.now());
    }
    Ok(names::text())
}

/// A state that nothing is in any more is 0.
fn set_counts(metric: names::Metric, counts: &BTreeMap<String, u64>, words: impl Iterator<Item = &'static str>) {
    for word in words {
        gauge!(metric.name, metric.label => word).set(number(counts.get(word).copied().unwrap_or_default()));
    }
}

fn set_ages(sprint: &Coordinator) {
    let (live, now) = (sprint.store.live(), sprint.now());
    let age = |since: Option<Timestamp>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
    let items = live.open_items();
    let ready = items.iter().filter(|item| item.stage.name() == StageName::Ready).map(|item| item.updated_at).min();
    gauge!(names::OLDEST_ITEM.name).set(age(ready));
    let queues = live.busy_repos().into_iter().map(|repo| live.queue(&repo));
    let queued = queues.flat_map(|queue| queue.changes).map(|entry| entry.change.created_at).min();
    gauge!(names::OLDEST_CHANGE.name).set(age(queued));
}

fn set_loop(status: LoopStatus, now: Timestamp) {
    let LoopStatus { name, passes, failures, running_since, last_pass } = status;
    counter!(names::PASSES.name, names::PASSES.label => name.clone()).absolute(passes);
    counter!(names::FAILURES.name, names::FAILURES.label => name.clone()).absolute(failures);
    let last = last_pass.map_or(0.0, |pass| std::time::Duration::from_micros(pass.duration_us).as_secs_f64());
    gauge!(names::PASS.name, names::PASS.label => name.clone()).set(last);
    let running = running_since.map_or(0.0, |since| now.since(since).as_secs_f64());
    gauge!(names::RUNNING.name, names::RUNNING.label => name).set(running);
}

/// A count as a gauge has it.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
