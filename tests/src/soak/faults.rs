//! What befalls a soak: each kind of fault, how it strikes, and how it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_test_needs::SmallDisk;

use super::site::{CLOCKED, OUTPOSTS, SMALL, Site};
use crate::git::git_as;
use crate::netns::Link;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    CoordinatorKilled,
    AgentKilled,
    BothKilled,
    ConnectionsCut,
    ConnectionsFrozen,
    LinkDown,
    DiskFull,
    AgentAsleep,
    CoordinatorAsleep,
    TerminalsKilled,
    UpstreamMoved,
    CoordinatorLocked,
    MirrorLocked,
    ClockJumped,
}

impl Fault {
    pub(super) const ALL: [Self; 14] = [
        Self::CoordinatorKilled,
        Self::AgentKilled,
        Self::BothKilled,
        Self::ConnectionsCut,
        Self::ConnectionsFrozen,
        Self::LinkDown,
        Self::DiskFull,
        Self::AgentAsleep,
        Self::CoordinatorAsleep,
        Self::TerminalsKilled,
        Self::UpstreamMoved,
        Self::CoordinatorLocked,
        Self::MirrorLocked,
        Self::ClockJumped,
    ];

    /// Whether this machine allows it.
    pub(super) fn is_possible(self, site: &Site) -> bool {
        match self {
            Self::LinkDown => site.namespace.is_some(),
            Self::DiskFull => site.disk.is_some(),
            Self::ClockJumped => site.can_set_clocks,
            Self::CoordinatorKilled
            | Self::AgentKilled
            | Self::BothKilled
            | Self::ConnectionsCut
            | Self::ConnectionsFrozen
            | Self::AgentAsleep
            | Self::CoordinatorAsleep
            | Self::TerminalsKilled
            | Self::UpstreamMoved
            | Self::CoordinatorLocked
            | Self::MirrorLocked => true,
        }
    }
}

/// Which of the faults that last are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Due,
    All,
}

/// What ends a fault that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Thaw(usize),
    LinkUp,
    DiskFree,
    AgentAwake(usize),
    CoordinatorAwake,
    ClocksRight,
}

/// The faults of one soak.
#[derive(Debug)]
pub(super) struct Faults {
    began: Instant,
    random: fastrand::Rng,
    /// How long an outpost may be away before its leases lapse.
    grace: Duration,
    /// Kinds that have still to come before each may come again.
    bag: Vec<Fault>,
    lasting: Vec<(Instant, Ends)>,
    moves: usize,
    planted: Vec<PathBuf>,
    pub(super) struck: BTreeMap<Fault, u32>,
}

impl Faults {
    pub(super) fn new(random: fastrand::Rng, grace: Duration) -> Self {
        let (bag, lasting, struck) = (vec![], vec![], BTreeMap::new());
        Self { began: Instant::now(), random, grace, bag, lasting, moves: 0, planted: vec![], struck }
    }

    /// Files that were committed to the upstream outside of the queue.
    pub(super) fn moves(&self) -> usize {
        self.moves
    }

    pub(super) fn coordinator_is_asleep(&self) -> bool {
        self.lasts(Ends::CoordinatorAwake)
    }

    /// Leaves a lock as a git leaves it that died; the repository may not be there yet.
    fn plant(&mut self, repository: &Path, locks: &[&str]) {
        let lock = repository.join(locks[self.random.usize(..locks.len())]);
        if std::fs::write(&lock, "").is_ok() {
            self.say(&format!("planted {}", lock.display()));
            self.planted.push(lock);
        }
    }

    /// Removes the planted locks that still stand, and says which.
    pub(super) fn remove_planted(&self) {
        for lock in self.planted.iter().filter(|lock| std::fs::remove_file(lock).is_ok()) {
            eprintln!("soak: this planted lock stood until the end: {}", lock.display());
        }
    }

    fn say(&self, words: &str) {
        eprintln!("soak {:6.1} s: {words}", self.began.elapsed().as_secs_f64());
    }

    /// Lets the next fault strike.
    pub(super) fn next(&mut self, site: &mut Site) {
        if self.bag.is_empty() {
            self.bag = Fault::ALL.into_iter().filter(|fault| fault.is_possible(site)).collect();
            self.random.shuffle(&mut self.bag);
        }
        let Some(fault) = self.bag.pop() else { return };
        if self.strike(fault, site) {
            *self.struck.entry(fault).or_default() += 1;
        } else {
            // Another that lasts is in its way.
            self.bag.insert(0, fault);
        }
    }

    fn last(&mut self, seconds: std::ops::Range<f64>, ends: Ends) {
        let seconds = seconds.start + self.random.f64() * (seconds.end - seconds.start);
        self.lasting.push((Instant::now() + Duration::from_secs_f64(seconds), ends));
    }

    fn lasts(&self, ends: Ends) -> bool {
        self.lasting.iter().any(|(_, known)| *known == ends)
    }

    /// Ends what has lasted long enough, or everything.
    pub(super) fn end(&mut self, site: &mut Site, which: Which) {
        let now = Instant::now();
        let over = self.lasting.extract_if(.., |(until, _)| which == Which::All || *until <= now).map(|(_, ends)| ends);
        for ends in over.collect::<Vec<_>>() {
            self.say(&format!("over: {ends:?}"));
            match ends {
                Ends::Thaw(outpost) => site.proxies[outpost].open(),
                Ends::LinkUp => site.link(Link::Up),
                Ends::DiskFree => site.disk.iter().for_each(SmallDisk::free),
                Ends::AgentAwake(outpost) => signal(site.cluster.outpost_pid(OUTPOSTS[outpost]), Signal::SIGCONT),
                Ends::CoordinatorAwake => signal(site.cluster.coordinator_pid(), Signal::SIGCONT),
                Ends::ClocksRight => {
                    site.set_clock("coordinator", 0);
                    site.set_clock(CLOCKED, 0);
                }
            }
        }
    }

    /// Whether it could strike.
    fn strike(&mut self, fault: Fault, site: &mut Site) -> bool {
        let outpost = self.random.usize(..OUTPOSTS.len());
        let name = OUTPOSTS[outpost];
        let stops_coordinator = matches!(
            fault,
            Fault::CoordinatorKilled | Fault::BothKilled | Fault::CoordinatorLocked | Fault::CoordinatorAsleep
        );
        let stops_agent =
            matches!(fault, Fault::AgentKilled | Fault::BothKilled | Fault::MirrorLocked | Fault::AgentAsleep);
        // It is not running so that it could be struck, or could not start again.
        if stops_coordinator && self.lasts(Ends::CoordinatorAwake)
            || stops_agent && self.lasts(Ends::AgentAwake(outpost))
            || stops_agent && name == SMALL && self.lasts(Ends::DiskFree)
        {
            return false;
        }
        self.say(&format!("{fault:?} {name}"));
        match fault {
            Fault::CoordinatorKilled => {
                site.cluster.kill_coordinator();
                site.cluster.start_coordinator();
            }
            Fault::AgentKilled => {
                site.cluster.kill_outpost(name);
                site.cluster.start_outpost(name);
            }
            Fault::BothKilled => {
                site.cluster.kill_coordinator();
                site.cluster.kill_outpost(name);
                site.cluster.start_outpost(name);
                site.cluster.start_coordinator();
            }
            Fault::ConnectionsCut => site.proxies[outpost].cut(),
            Fault::ConnectionsFrozen => {
                site.proxies[outpost].silence();
                self.last(3.0..12.0, Ends::Thaw(outpost));
            }
            Fault::LinkDown => {
                site.link(Link::Down);
                self.last(2.0..12.0, Ends::LinkUp);
            }
            Fault::DiskFull => {
                site.disk.iter().for_each(SmallDisk::fill);
                self.last(2.0..8.0, Ends::DiskFree);
            }
            Fault::AgentAsleep => {
                signal(site.cluster.outpost_pid(name), Signal::SIGSTOP);
                let grace = self.grace.as_secs_f64();
                self.last(grace + 8.0..grace + 12.0, Ends::AgentAwake(outpost));
            }
            Fault::CoordinatorAsleep => {
                signal(site.cluster.coordinator_pid(), Signal::SIGSTOP);
                self.last(3.0..15.0, Ends::CoordinatorAwake);
            }
            Fault::TerminalsKilled => {
                let socket = site.cluster.outpost_data(name).join("tmux.sock");
                std::process::Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output().ok();
            }
            Fault::UpstreamMoved => {
                site.move_upstream(self.moves);
                self.moves += 1;
            }
            Fault::CoordinatorLocked => {
                site.cluster.kill_coordinator();
                let repo = site.cluster.coordinator_data().join("repos/web.git");
                self.plant(&repo, &["refs/heads/main.lock", "packed-refs.lock", "HEAD.lock"]);
                site.cluster.start_coordinator();
            }
            Fault::MirrorLocked => {
                site.cluster.kill_outpost(name);
                let mirror = site.cluster.outpost_data(name).join("mirrors/web.git");
                self.plant(&mirror, &["packed-refs.lock", "config.lock", "shallow.lock"]);
                site.cluster.start_outpost(name);
            }
            Fault::ClockJumped => {
                let whose = if self.random.bool() { "coordinator" } else { CLOCKED };
                let jumps = [262, -262, 3_600, -3_600];
                let jump = jumps[self.random.usize(..jumps.len())];
                self.say(&format!("the clock of {whose}: {jump:+} s"));
                site.set_clock(whose, jump);
                self.last(5.0..30.0, Ends::ClocksRight);
            }
        }
        true
    }
}

fn signal(pid: u32, signal: Signal) {
    // It may have been killed and started again meanwhile.
    kill(Pid::from_raw(pid.cast_signed()), signal).ok();
}

impl Site {
    fn link(&self, state: Link) {
        if let Some(namespace) = &self.namespace {
            namespace.link(state);
        }
    }

    /// Commits to the upstream's main outside of the queue, and tries again when another push was first.
    fn move_upstream(&self, number: usize) {
        let clone = tempfile::tempdir().expect("a directory");
        let url = self.repo.upstream.display().to_string();
        let run = |args: &[&str]| git_as(clone.path(), &[], args).status.success();
        assert!(run(&["clone", "--quiet", &url, "."]), "the upstream can be cloned");
        std::fs::write(clone.path().join(format!("moved-{number}")), "by hand\n").expect("is written");
        assert!(run(&["add", "-A"]) && run(&["commit", "--quiet", "-m", "Change it by hand"]));
        while !run(&["push", "--quiet", "origin", "HEAD:main"]) {
            assert!(run(&["pull", "--quiet", "--rebase", "origin", "main"]), "the upstream's main was rewritten");
        }
    }
}
