//! A soak: real daemons under load, while everything happens to them that may.
//!
//! The faults come from a seeded generator: the same seed strikes in the same order, though what is under way
//! then differs from run to run.

mod faults;
mod proxy;
mod site;
mod verdict;
mod work;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use self::faults::{Fault, Faults};
use self::site::Site;
use self::work::Planned;
use crate::ctl;

/// From this length on, every kind of fault that the machine allows must have struck.
const LONG: Duration = Duration::from_mins(3);
/// Items under way at one time.
const OPEN: usize = 24;

/// How a soak is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub time: Duration,
    pub seed: u64,
}

/// What was added in a soak.
#[derive(Debug, Default)]
struct Load {
    planned: Vec<Planned>,
    acknowledged: BTreeSet<u64>,
}

/// Runs a soak and checks what is left at its end; it fails by a panic, as a test does.
pub fn run(options: Options) {
    let Options { time, seed } = options;
    eprintln!("soak: {time:?}, seed {seed}");
    // A short one cannot wait for long.
    let grace = Duration::from_secs(if time >= LONG { 20 } else { 4 });
    let mut site = Site::start(grace);
    let mut random = fastrand::Rng::with_seed(seed);
    let loader = Loader::start(&site, random.fork());
    let mut faults = Faults::new(random.fork(), grace);
    let began = Instant::now();
    while began.elapsed() < time {
        sleep(Duration::from_secs_f64(0.3 + 2.5 * random.f64()));
        site.cluster.start_what_ended();
        faults.end(&mut site, faults::Which::Due);
        faults.next(&mut site);
        if !faults.coordinator_is_asleep() {
            site.settle();
        }
    }
    faults.end(&mut site, faults::Which::All);
    site.cluster.start_what_ended();
    let load = loader.stop();
    eprintln!("soak: the faults are over; struck: {:?}", faults.struck);
    verdict::check(&site, &load, &faults);
    let never = Fault::ALL.into_iter().filter(|fault| !faults.struck.contains_key(fault)).collect::<Vec<_>>();
    let impossible = never.iter().filter(|fault| !fault.is_possible(&site)).collect::<Vec<_>>();
    if !impossible.is_empty() {
        eprintln!("soak: this machine does not allow {impossible:?}");
    }
    assert!(time < LONG || never.len() == impossible.len(), "some faults never struck: {never:?}");
}

/// Adds items beside the faults.
struct Loader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Load>,
}

impl Loader {
    fn start(site: &Site, random: fastrand::Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (contexts, address) = (site.cluster.contexts(), site.cluster.address().to_owned());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || load(&contexts, &address, random, &stopped));
        Self { stop, thread }
    }

    fn stop(self) -> Load {
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
