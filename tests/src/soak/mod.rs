//! A soak: real daemons under load, while everything happens to them that may.
//!
//! The faults come from a seeded generator: the same seed strikes in the same order, though what is under way
//! then differs from run to run.

mod faults;
mod load;
mod proxy;
mod site;
mod verdict;
mod work;

use std::thread::sleep;
use std::time::{Duration, Instant};

use self::faults::{Fault, Faults};
use self::load::Loader;
use self::site::Site;

/// From this length on, every kind of fault that the machine allows must have struck.
const LONG: Duration = Duration::from_mins(3);

/// How a soak is run.
#[derive(Debug, Clone, Copy)]
pub struct SoakOptions {
    pub time: Duration,
    pub seed: u64,
}

/// Runs a soak and checks what is left at its end; it fails by a panic, as a test does.
pub fn run(options: SoakOptions) {
    let SoakOptions { time, seed } = options;
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
