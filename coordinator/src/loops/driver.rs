//! Runs the loops: wakes them, paces them, and notes how each pass went.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use sprint_core::status::{LoopPass, PassReason};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::service::{Coordinator, Notices};

/// When a loop passes again, unless a notice wakes it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At its tick.
    AtTick,
    /// After this time, and no later than at its tick.
    After(Duration),
}

/// A loop. A pass reads the state for itself, acts, and is safe to run twice.
pub(super) trait Loop: Send + 'static {
    const NAME: &'static str;
    /// The safety net: the longest time between two passes.
    const TICK: Duration;
    /// The pause after a failed pass, so that a broken disk is not hammered.
    const AFTER_FAILURE: Duration = Duration::from_secs(1);

    /// The notice that wakes it; none for one that works by its tick alone.
    fn woken_by(notices: &Notices) -> Option<&Notify>;

    fn pass(
        &mut self,
        sprint: &Arc<Coordinator>,
        reason: PassReason,
    ) -> impl Future<Output = anyhow::Result<Next>> + Send;

    /// Ends what the passes have left running; called once, at the stop.
    fn end(&mut self, _sprint: &Arc<Coordinator>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Runs a loop until the coordinator stops; the first pass comes at once, and a pass that has begun runs to its end.
pub(super) async fn run<L: Loop>(mut work: L, sprint: Arc<Coordinator>) {
    let stop = &sprint.stop;
    let mut deadline = Instant::now();
    let mut reason = PassReason::Start;
    while !stop.is_cancelled() {
        let due = Instant::now() + pass(&mut work, &sprint, reason).await;
        // Notices without a pause do not keep a tick from coming.
        deadline = if reason == PassReason::Notified && deadline > Instant::now() { deadline.min(due) } else { due };
        reason = tokio::select! {
            () = stop.cancelled() => break,
            () = notified(L::woken_by(sprint.notices())) => PassReason::Notified,
            () = tokio::time::sleep_until(deadline) => PassReason::Tick,
        };
    }
    work.end(&sprint).await;
}

async fn notified(notify: Option<&Notify>) {
    match notify {
        Some(notify) => notify.notified().await,
        None => std::future::pending().await,
    }
}

/// Makes one pass; answers the pause after it.
async fn pass<L: Loop>(work: &mut L, sprint: &Arc<Coordinator>, reason: PassReason) -> Duration {
    match observed(sprint, L::NAME, reason, work.pass(sprint, reason)).await {
        Some(Next::AtTick) => L::TICK,
        Some(Next::After(pause)) => pause.min(L::TICK),
        None => L::AFTER_FAILURE,
    }
}

/// Carries out a pass of the loop `name`, and notes how it went; none when it failed.
pub(super) async fn observed<T>(
    sprint: &Coordinator,
    name: &str,
    reason: PassReason,
    pass: impl Future<Output = anyhow::Result<T>>,
) -> Option<T> {
    let span = tracing::info_span!(parent: None, "pass", "loop" = name, reason = reason.as_str(), error = Empty);
    let (at, began) = (sprint.now(), Instant::now());
    sprint.loops.begin(name, at);
    // A pass that panics is a bug of that pass; the next one reads the state again.
    let result = AssertUnwindSafe(pass.instrument(span.clone())).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("the pass panicked")));
    let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let error = result.as_ref().err().map(|error| format!("{error:#}"));
    if let Some(error) = &error {
        span.record("error", error);
        tracing::error!(name, error, "a pass failed");
    }
    sprint.loops.end(name, LoopPass { at, reason, duration_us, error });
    result.ok()
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
