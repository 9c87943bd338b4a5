//! What must not be there when all work is over.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Cluster;
use crate::LIMIT;
use crate::git::git;

impl Cluster {
    /// Waits until nothing is left of work that is over, and fails the test when something stays.
    #[track_caller]
    pub fn nothing_is_left(&self, repo: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = self.leftovers(repo);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left over: {left:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What is left of work that is over: on the outposts, and in the coordinator's repository. Each as a line.
    pub fn leftovers(&self, repo: &str) -> Vec<String> {
        let mut left = self.worker_processes().into_iter().map(process).collect::<Vec<_>>();
        for name in self.outposts.keys() {
            let data = self.outpost_data(name);
            left.extend(entries(&data.join("workers")));
            left.extend(entries(&data.join("trash")));
            left.extend(locks(&data.join("mirrors")));
            left.extend(sessions(&data.join("tmux.sock")).into_iter().map(|session| format!("{name}: {session}")));
        }
        left.extend(locks(&self.coordinator_data().join("repos")));
        left.extend(self.stray_refs(repo));
        left
    }

    /// The refs that belong to no attempt: every attempt may have its work and what it left uncommitted.
    fn stray_refs(&self, repo: &str) -> Vec<String> {
        let items = self.json(&["item", "list"]);
        let attempts = |item: &str| {
            let item = item.parse::<u64>().ok()?;
            let found = items.as_array()?.iter().find(|known| known["id"] == item)?;
            found["attempt"].as_u64()
        };
        let path = self.coordinator_data().join("repos").join(format!("{repo}.git"));
        let refs = git(&path, &["for-each-ref", "--format=%(refname)"]);
        let is_known = |name: &&str| match name.split('/').collect::<Vec<_>>().as_slice() {
            ["refs", "heads", "main"]
            | ["refs", "remotes", "origin", "main"]
            | ["refs", "sprint", "upstream" | "fetched", "main"] => true,
            ["refs", "sprint", "work" | "wip", item, attempt]
            | ["refs", "sprint", "late", "work" | "wip", item, attempt] => {
                attempts(item).zip(attempt.parse::<u64>().ok()).is_some_and(|(last, attempt)| attempt <= last)
            }
            _ => false,
        };
        refs.lines().filter(|name| !is_known(name)).map(|name| format!("{}: {name}", path.display())).collect()
    }
}

fn process(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("process {pid}: {}", String::from_utf8_lossy(&line).replace('\0', " "))
}

fn entries(directory: &Path) -> Vec<String> {
    let found = std::fs::read_dir(directory).into_iter().flatten().flatten();
    found.map(|entry| entry.path().display().to_string()).collect()
}

/// The files by which one git keeps others out, should it have died.
fn locks(directory: &Path) -> Vec<String> {
    let found = Command::new("find").arg(directory).args(["-name", "*.lock", "-type", "f"]).output();
    let found = found.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    found.lines().map(ToOwned::to_owned).collect()
}

/// The workers' sessions on a terminal server.
fn sessions(socket: &Path) -> Vec<String> {
    let mut tmux = Command::new("tmux");
    tmux.arg("-S").arg(socket).args(["list-sessions", "-F", "#{session_name}"]);
    let found = tmux.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let is_worker = |name: &&str| name.strip_prefix('w').is_some_and(|number| number.parse::<u64>().is_ok());
    found.lines().filter(is_worker).map(|name| format!("session {name}")).collect()
}
