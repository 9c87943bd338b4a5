//! Watches whether the outpost has headroom, for as long as the agent runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::disk;
use super::headroom::{DiskPolicy, Headroom, Pause};
use crate::context::Agent;

/// The period of checks of the free disk space.
const LOOK: Duration = Duration::from_secs(2);
/// The period of measurements of the data directory, which read every directory in it.
const MEASURE: Duration = Duration::from_mins(1);
/// The longest wait of a measurement for a less busy host.
const MEASURE_LATEST: Duration = Duration::from_mins(10);

/// Keeps `agent.pause` true, for as long as the agent runs.
pub(crate) async fn run(agent: Arc<Agent>) {
    let measured = watch::channel(None).0;
    let policy = agent.settings.disk_policy;
    tokio::join!(look(&agent, policy, &measured), measure(&agent, policy, &measured));
}

async fn look(agent: &Arc<Agent>, policy: DiskPolicy, measured: &watch::Sender<Option<u64>>) {
    loop {
        let before = agent.pause.borrow().clone();
        let mut headroom = observe(agent, *measured.borrow());
        let low = headroom.is_low(policy, before.as_ref().map(|pause| pause.cause));
        if agent.repositories.stay_lean(low).await {
            headroom = observe(agent, headroom.used);
        }
        let now = headroom.pause(policy, before.as_ref());
        if now != before {
            if let Some(Pause { cause: _, reason }) = &now {
                tracing::warn!(reason, "the outpost accepts no new work for now");
            } else {
                tracing::info!("the outpost accepts new work again");
            }
            agent.pause.send_replace(now);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn observe(agent: &Agent, used: Option<u64>) -> Headroom {
    // A disk that cannot be asked is not known to be low.
    let (total, free) = disk::total_and_free_bytes(agent.data.root()).unwrap_or((0, u64::MAX));
    let undelivered = agent.outbox.undelivered();
    let journal = |worker| std::fs::metadata(agent.data.worker(worker).journal()).map_or(0, |data| data.len());
    let journals = undelivered.iter().map(|worker| journal(*worker)).sum();
    Headroom { total, free, used, undelivered: undelivered.len(), journals }
}

/// Measures the data directory now and then, if it matters.
async fn measure(agent: &Arc<Agent>, policy: DiskPolicy, measured: &watch::Sender<Option<u64>>) {
    if policy.most.is_none() {
        return;
    }
    loop {
        let root = agent.data.root().to_owned();
        match tokio::task::spawn_blocking(move || disk::used_bytes(&root)).await {
            Ok(Ok(used)) => {
                measured.send_replace(Some(used));
            }
            Ok(Err(error)) => tracing::warn!(%error, "the data directory cannot be measured"),
            Err(error) => tracing::error!(%error, "measuring the data directory panicked"),
        }
        let latest = Instant::now() + MEASURE_LATEST;
        tokio::time::sleep(MEASURE).await;
        while is_busy() && Instant::now() < latest {
            tokio::time::sleep(MEASURE / 10).await;
        }
    }
}

fn is_busy() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    let load = load.split('.').next().and_then(|whole| whole.parse::<usize>().ok());
    load.is_some_and(|load| load >= cores)
}
