//! Reports that the coordinator has not acknowledged yet, in order for each worker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sprint_core::assignment::{Report, ReportBody};
use sprint_core::ids::WorkerId;
use tokio::sync::Notify;

/// Every unacknowledged report of this outpost. Its size is bounded by the workers that are here: each makes a
/// handful, and while many wait to be delivered the outpost asks for no more (`room`).
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    fresh: Notify,
}

#[derive(Debug, Default)]
struct State {
    unacknowledged: BTreeMap<WorkerId, VecDeque<Report>>,
    /// What the current session has still to send.
    to_send: VecDeque<Report>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, report: Report) {
        // One that an earlier version has recorded may be of any length.
        let report = report.bounded();
        let mut state = self.lock();
        state.to_send.push_back(report.clone());
        state.unacknowledged.entry(report.worker).or_default().push_back(report);
        drop(state);
        self.fresh.notify_one();
    }

    /// Prepares a new session: everything unacknowledged is sent again.
    pub(crate) fn restart(&self) {
        let mut state = self.lock();
        state.to_send = state.unacknowledged.values().flatten().cloned().collect();
        drop(state);
        self.fresh.notify_one();
    }

    /// Sends again what one worker has unacknowledged.
    pub(crate) fn resend(&self, worker: WorkerId) {
        let mut state = self.lock();
        let again: Vec<_> = state.unacknowledged.get(&worker).into_iter().flatten().cloned().collect();
        state.to_send.extend(again);
        drop(state);
        self.fresh.notify_one();
    }

    /// Waits until there is something to send; may also return for no reason.
    pub(crate) async fn wait(&self) {
        self.fresh.notified().await;
    }

    /// The next report to send.
    pub(crate) fn next(&self) -> Option<Report> {
        self.lock().to_send.pop_front()
    }

    /// Removes what is delivered: reports are applied in order, so all up to `seq` are.
    pub(crate) fn acknowledge(&self, worker: WorkerId, seq: u64) {
        let mut state = self.lock();
        if let Some(reports) = state.unacknowledged.get_mut(&worker) {
            reports.retain(|report| report.seq > seq);
            if reports.is_empty() {
                state.unacknowledged.remove(&worker);
            }
        }
    }

    /// Finished workers whose end is not acknowledged.
    pub(crate) fn undelivered(&self) -> Vec<WorkerId> {
        let is_end = |report: &Report| matches!(report.body, ReportBody::Finished { .. });
        let state = self.lock();
        let ended = state.unacknowledged.iter().filter(|(_, reports)| reports.iter().any(is_end));
        ended.map(|(worker, _)| *worker).collect()
    }

    /// Whether a worker has no report on its way.
    pub(crate) fn is_delivered(&self, worker: WorkerId) -> bool {
        !self.lock().unacknowledged.contains_key(&worker)
    }
}
