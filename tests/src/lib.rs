//! A harness for the real binaries: a cluster in a directory of its own, ended with everything it started.
#![expect(clippy::missing_panics_doc, reason = "a test helper that cannot do its work fails the test")]

pub mod agents;
mod binaries;
mod certificates;
mod cluster;
mod ctl;
mod daemon;
mod git;
pub mod hostile;
pub mod load;
pub mod model;
mod netns;
mod processes;
mod readme;
pub mod replay;
pub mod soak;

use std::time::{Duration, Instant};

pub use binaries::binary;
pub use certificates::{OwnCertificate, own_certificate};
pub use cluster::{Cluster, Hold, OutpostOptions};
pub use ctl::{Answer, Background};
pub use git::{Repo, commit, git, git_as, git_fed};
pub use netns::Namespace;
pub use processes::{mentioning, peak_memory, shims};
pub use readme::{NewUser, commands_of};

/// How long anything may take; a loaded machine is slow.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Waits until something holds, and fails the test when it does not in time.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Waits until something is there, and answers it.
#[track_caller]
pub fn eventually_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually(what, || {
        found = find();
        found.is_some()
    });
    found.expect("was just found")
}
