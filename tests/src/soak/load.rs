//! The load of a soak: items added beside the faults.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use super::site::Site;
use super::work::Planned;
use crate::ctl;

/// Items under way at one time.
const OPEN: usize = 24;

/// What was added in a soak.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) planned: Vec<Planned>,
    pub(super) acknowledged: BTreeSet<u64>,
}

/// Adds items beside the faults.
pub(super) struct Loader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Load>,
}

impl Loader {
    pub(super) fn start(site: &Site, random: fastrand::Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (contexts, address) = (site.cluster.contexts(), site.cluster.address().to_owned());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || load(&contexts, &address, random, &stopped));
        Self { stop, thread }
    }

    pub(super) fn stop(self) -> Load {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("items can be added")
    }
}

fn load(contexts: &Path, address: &str, mut random: fastrand::Rng, stop: &AtomicBool) -> Load {
    let mut load = Load::default();
    while !stop.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(200));
        let status = ctl::run(contexts, address, &["status", "-o", "json"]);
        if status.code != 0 {
            continue;
        }
        let done = status.json()["items"]["done"].as_u64().unwrap_or_default();
        if load.acknowledged.len() >= OPEN + usize::try_from(done).unwrap_or(usize::MAX) {
            continue;
        }
        let planned = Planned::new(load.planned.len(), &mut random);
        // Without an answer it may be there or not.
        load.planned.push(planned);
        let (title, run) = (planned.title(), planned.run());
        let args = ["item", "add", "--repo", "web", "--run", &run, &title, "-o", "json"];
        let answer = ctl::run(contexts, address, &args);
        if answer.code == 0 {
            load.acknowledged.extend(answer.json()["id"].as_u64());
        }
    }
    load
}
