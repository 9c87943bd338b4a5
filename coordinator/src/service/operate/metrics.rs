//! What is measured, as of now.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sprint_core::change::ChangeStateName;
use sprint_core::item::StageName;
use sprint_core::outpost::OutpostState;
use sprint_core::status::{CoordinatorStatus, LoopStatus};
use sprint_core::time::Timestamp;
use sprint_core::worker::WorkerStateName;

use super::status::status;
use crate::metrics::{Gauge, METRICS, Series};
use crate::service::{Coordinator, ServiceError};

/// Held from the clearing of gauges to their text.
static SCRAPE: Mutex<()> = Mutex::new(());

/// Everything that is measured, in the text format of `OpenMetrics`.
///
/// # Errors
/// What the store says.
pub async fn text(sprint: &Coordinator) -> Result<String, ServiceError> {
    let status = status(sprint, "").await?;
    let CoordinatorStatus { items, workers, changes, outposts, merge_queues, loops, .. } = status;
    set_counts(&METRICS.items, &items, StageName::ALL.iter().map(|word| word.as_str()));
    set_counts(&METRICS.workers, &workers, WorkerStateName::ALL.iter().map(|word| word.as_str()));
    set_counts(&METRICS.changes, &changes, ChangeStateName::ALL.iter().map(|word| word.as_str()));
    set_counts(&METRICS.outposts, &outposts, OutpostState::ALL.iter().map(|word| word.as_str()));
    // A repo that was removed is gone from the gauges, rather than there with its last value.
    let _alone = SCRAPE.lock().unwrap_or_else(PoisonError::into_inner);
    for gauge in [&METRICS.queue, &METRICS.pass, &METRICS.running] {
        gauge.clear();
    }
    for queue in merge_queues {
        METRICS.queue.of(queue.repo.to_string()).set(number(queue.changes.len() as u64));
    }
    set_ages(sprint);
    for status in loops {
        set_loop(status, sprint.now());
    }
    Ok(METRICS.text())
}

/// A state that nothing is in any more is 0.
fn set_counts(metric: &Series<Gauge>, counts: &BTreeMap<String, u64>, words: impl Iterator<Item = &'static str>) {
    for word in words {
        metric.of(word).set(number(counts.get(word).copied().unwrap_or_default()));
    }
}

fn set_ages(sprint: &Coordinator) {
    let (live, now) = (sprint.store.live(), sprint.now());
    let age = |since: Option<Timestamp>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
    let items = live.open_items();
    let ready = items.iter().filter(|item| item.stage.name() == StageName::Ready);
    let ready = ready.map(|item| item.stage_since.unwrap_or(item.updated_at)).min();
    METRICS.oldest_item.only().set(age(ready));
    let repos = live.busy_repos().into_iter().map(|repo| live.queue(&repo));
    let queued = repos.flat_map(|queue| queue.changes).map(|entry| entry.change.created_at).min();
    METRICS.oldest_change.only().set(age(queued));
}

fn set_loop(status: LoopStatus, now: Timestamp) {
    let LoopStatus { name, passes: _, failures: _, running_since, last_pass } = status;
    let last = last_pass.map_or(0.0, |pass| Duration::from_micros(pass.duration_us).as_secs_f64());
    METRICS.pass.of(name.clone()).set(last);
    METRICS.running.of(name).set(running_since.map_or(0.0, |since| now.since(since).as_secs_f64()));
}

/// A count as a gauge has it.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
