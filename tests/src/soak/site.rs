//! Four outposts, each of which something else can happen to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sprint_test_needs::{Need, SmallDisk, have};
use tokio::runtime::Runtime;

use super::proxy::Proxy;
use crate::git::{git, try_git};
use crate::{Cluster, Namespace, OutpostOptions, Repo};

pub(super) const OUTPOSTS: [&str; 4] = ["local-1", "local-2", "local-3", "local-4"];
/// Whose clock jumps, beside the coordinator's.
pub(super) const CLOCKED: &str = "local-2";
/// Whose disk is small.
pub(super) const SMALL: &str = "local-3";
/// Whose link can go down.
pub(super) const FAR: &str = "local-4";

/// Debian's package `faketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The cluster under test, and what can be done to its surroundings.
#[derive(Debug)]
pub(super) struct Site {
    /// First, so that it ends first.
    pub(super) cluster: Cluster,
    pub(super) repo: Repo,
    pub(super) proxies: Vec<Proxy>,
    pub(super) disk: Option<SmallDisk>,
    pub(super) namespace: Option<Namespace>,
    pub(super) can_set_clocks: bool,
    _clocks: SharedClocks,
    _runtime: Runtime,
}

impl Site {
    pub(super) fn start(grace: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let namespace = have(Need::Netns, Namespace::make);
        let grace = format!("{}s", grace.as_secs());
        let mut options = vec!["--disconnect-grace", &grace, "--snapshot-every", "2s", "--advertise", "127.0.0.1"];
        if let Some(namespace) = &namespace {
            options.extend(["--advertise", &namespace.ours]);
        }
        let mut cluster = Cluster::start_with(0, &options);
        cluster.keep_if_it_fails();
        let can_set_clocks = have(Need::Faketime, libfaketime).is_some();
        if can_set_clocks {
            set_clock(cluster.path(), "coordinator", 0);
            cluster.kill_coordinator();
            for (key, value) in clock(cluster.path(), "coordinator") {
                cluster.coordinator_variable(&key, &value);
            }
            cluster.start_coordinator();
        }
        let repo = cluster.repo("web", &[], &["--gate", "ok=sleep 0.1", "--max-attempts", "50"]);
        let disk = have(Need::Tmpfs, || SmallDisk::mount(cluster.outpost_data(SMALL), "128m"));
        let mut proxies = vec![];
        for name in OUTPOSTS {
            let far = namespace.as_ref().filter(|_| name == FAR);
            let proxy = Proxy::start(runtime.handle(), far.map_or("127.0.0.1", |far| &far.ours), cluster.address());
            let mut options = OutpostOptions {
                max_workers: 3,
                coordinator: Some(proxy.address.to_string()),
                namespace: far.map(|far| far.name.clone()),
                ..OutpostOptions::default()
            };
            if name == CLOCKED && can_set_clocks {
                set_clock(cluster.path(), name, 0);
                options.variables = clock(cluster.path(), name);
            }
            proxies.push(proxy);
            cluster.add_outpost(name, options);
        }
        for name in OUTPOSTS {
            cluster.online(name);
        }
        Self { cluster, repo, proxies, disk, namespace, can_set_clocks, _clocks: SharedClocks, _runtime: runtime }
    }

    /// Whether the upstream has all that has landed.
    pub(super) fn is_pushed(&self) -> bool {
        let repo = self.cluster.coordinator_data().join("repos/web.git");
        let tip = git(&repo, &["rev-parse", "main"]);
        try_git(&self.repo.upstream, &["merge-base", "--is-ancestor", &tip, "main"]).status.success()
    }

    /// Does what the coordinator asks of a person when the upstream's main and its own have parted: a commit by hand
    /// came between a landing and its push.
    pub(super) fn settle(&self) {
        let shown = self.cluster.sprintctl(&["repo", "show", "web", "-o", "json"]);
        let parted = |reason: &str| reason.contains("holds commits that the coordinator's does not");
        if shown.code != 0 || !shown.json()["halted"].as_str().is_some_and(parted) {
            return;
        }
        eprintln!("soak: both mains have moved; merged by hand");
        let clone = tempfile::tempdir().expect("a directory");
        let ours = self.cluster.coordinator_data().join("repos/web.git").display().to_string();
        let upstream = self.repo.upstream.display().to_string();
        git(clone.path(), &["clone", "--quiet", &upstream, "."]);
        git(clone.path(), &["fetch", "--quiet", &ours, "main"]);
        git(clone.path(), &["merge", "--quiet", "--no-edit", "FETCH_HEAD"]);
        git(clone.path(), &["push", "--quiet", "origin", "HEAD:main"]);
        self.cluster.sprintctl(&["repo", "set", "web", "--resume"]);
    }

    pub(super) fn set_clock(&self, whose: &str, seconds: i64) {
        set_clock(self.cluster.path(), whose, seconds);
    }
}

/// What libfaketime shares between processes; those that are killed leave it.
#[derive(Debug)]
struct SharedClocks;

impl Drop for SharedClocks {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let whose = name.strip_prefix("faketime_shm_").or_else(|| name.strip_prefix("sem.faketime_sem_"));
            if whose.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }
}

fn clock_file(directory: &Path, whose: &str) -> PathBuf {
    directory.join(format!("clock-{whose}"))
}

fn libfaketime() -> Result<(), String> {
    if Path::new(FAKETIME).exists() { Ok(()) } else { Err(format!("there is no {FAKETIME}")) }
}

/// What makes a program read its clock from a file.
fn clock(directory: &Path, whose: &str) -> Vec<(String, String)> {
    let file = clock_file(directory, whose).display().to_string();
    [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", &file),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_NO_CACHE", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}

fn set_clock(directory: &Path, whose: &str, seconds: i64) {
    let (file, new) = (clock_file(directory, whose), directory.join("clock-new"));
    // At once: a half written time is none.
    std::fs::write(&new, format!("{seconds:+}\n")).expect("is written");
    std::fs::rename(new, file).expect("is renamed");
}
