//! Ends workers without output and without CPU use for too long: they wait for something that does not come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sprint_core::ids::WorkerId;
use tokio::time::Instant;

use super::decide::Stop;
use super::handle::WorkerHandle;
use super::shim_process;
use crate::context::Agent;
use crate::shim::processes::Usage;

/// The number of samples within a worker's time limit, and the bounds of their interval.
const LOOKS: u32 = 10;
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(30);
/// Programs that wait for an answer still read a clock now and then: less than this part of a core is idle.
const TRIVIAL: u32 = 100;

/// The signs of activity of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sign {
    /// Bytes that its terminal has shown.
    printed: u64,
    /// The time that its processes have computed.
    computed: Duration,
}

/// How long a worker has shown nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Idle {
    last: Sign,
    since: Duration,
}

impl Idle {
    /// Adds a sample, taken `elapsed` after the last; they were to be `interval` apart. The whole host may have been
    /// suspended meanwhile: a late sample is treated as one that came in time.
    fn after(self, sign: Sign, elapsed: Duration, interval: Duration) -> Self {
        let elapsed = elapsed.min(interval);
        let computed = sign.computed.saturating_sub(self.last.computed);
        let alive = sign.printed != self.last.printed || computed >= elapsed / TRIVIAL && !computed.is_zero();
        Self { last: sign, since: if alive { Duration::ZERO } else { self.since + elapsed } }
    }
}

/// The interval of samples for workers with these time limits.
fn interval(limits: impl Iterator<Item = Duration>) -> Option<Duration> {
    limits.map(|limit| (limit / LOOKS).clamp(OFTEN, SELDOM)).min()
}

/// Ends workers that hang, for as long as the agent runs.
pub(crate) async fn watch(agent: Arc<Agent>) {
    let mut idle: BTreeMap<WorkerId, Idle> = BTreeMap::new();
    loop {
        let watched = watched(&agent);
        let Some(interval) = interval(watched.iter().map(|(_, limit)| *limit)) else {
            idle.clear();
            agent.fleet.added().await;
            continue;
        };
        let began = Instant::now();
        tokio::time::sleep(interval).await;
        let handles: Vec<_> = watched.iter().map(|(handle, _)| handle.clone()).collect();
        // Of all workers at once: the list of processes is long where there are many.
        let signs = match tokio::task::spawn_blocking(move || signs(&handles)).await {
            Ok(signs) => signs,
            Err(error) => {
                tracing::error!(%error, "sampling the workers panicked");
                continue;
            }
        };
        idle.retain(|worker, _| signs.contains_key(worker));
        for (handle, limit) in watched {
            let Some(sign) = signs.get(&handle.id()) else { continue };
            let known = idle.entry(handle.id()).or_insert(Idle { last: *sign, since: Duration::ZERO });
            *known = known.after(*sign, began.elapsed(), interval);
            if known.since >= limit {
                let reason = format!("hung: no output and no CPU for {}", humantime::format_duration(limit));
                tracing::warn!(worker = %handle.id(), reason, "ending it");
                handle.request_stop(Stop::Hung(reason));
            }
        }
    }
}

/// Those that may hang, and after how long they count as hung.
fn watched(agent: &Agent) -> Vec<(Arc<WorkerHandle>, Duration)> {
    let running = agent.fleet.all().into_iter().filter(|handle| !handle.is_finished() && handle.stop().is_none());
    running.filter_map(|handle| handle.assignment.hung_after.map(|limit| (handle, limit))).collect()
}

/// What those show whose commands run.
fn signs(handles: &[Arc<WorkerHandle>]) -> BTreeMap<WorkerId, Sign> {
    let usage = Usage::look();
    let sign = |handle: &Arc<WorkerHandle>| {
        let shim = shim_process::living(&handle.dir)?;
        let printed = std::fs::metadata(handle.dir.log()).map_or(0, |log| log.len());
        Some((handle.id(), Sign { printed, computed: usage.below(shim) }))
    };
    handles.iter().filter_map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn idle_time_adds_up_until_something_is_printed_or_computed() {
        let start = Sign { printed: 10, computed: SECOND };
        let millis = |millis: u64| SECOND + Duration::from_millis(millis);
        let cases = [
            ("nothing", 10, SECOND, SECOND, 6 * SECOND),
            ("a byte", 11, SECOND, SECOND, Duration::ZERO),
            ("a log that was cut", 0, SECOND, SECOND, Duration::ZERO),
            ("a trifle", 10, millis(9), SECOND, 6 * SECOND),
            ("a hundredth", 10, millis(10), SECOND, Duration::ZERO),
            ("less than before: a process is gone", 10, Duration::ZERO, SECOND, 6 * SECOND),
            ("a late look", 10, SECOND, 3_600 * SECOND, 6 * SECOND),
            ("a late look, and a trifle of it", 10, millis(10), 3_600 * SECOND, Duration::ZERO),
            ("an early look", 10, SECOND, SECOND / 2, 5 * SECOND + SECOND / 2),
            ("a look at once", 10, SECOND, Duration::ZERO, 5 * SECOND),
        ];
        for (what, printed, computed, elapsed, expected) in cases {
            let before = Idle { last: start, since: 5 * SECOND };
            let sign = Sign { printed, computed };
            assert_eq!(before.after(sign, elapsed, SECOND), Idle { last: sign, since: expected }, "{what}");
        }
    }

    #[test]
    fn samples_are_as_frequent_as_the_strictest_limit_needs() {
        let minutes = |minutes| Duration::from_mins(minutes);
        assert_eq!(interval(std::iter::empty()), None);
        assert_eq!(interval([minutes(1)].into_iter()), Some(Duration::from_secs(6)));
        assert_eq!(interval([minutes(60), minutes(2)].into_iter()), Some(Duration::from_secs(12)));
        assert_eq!(interval([minutes(60)].into_iter()), Some(SELDOM));
        assert_eq!(interval([SECOND].into_iter()), Some(OFTEN));
    }
}
