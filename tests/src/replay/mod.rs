//! A replay: a generated history of a small C project goes through the queue and real gates, and then every commit that
//! main ever was is gated again from scratch.
//!
//! What must become of each change is known beforehand: most are good, some fail alone, and of some pairs either is good
//! and both are not, though nothing in their texts conflicts.

mod plan;
mod project;
mod verdict;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::plan::Planned;
use crate::Cluster;

/// How long nothing at all may come about while something is still to be done.
const STALLED: Duration = Duration::from_mins(3);

/// How a replay is run.
#[derive(Debug, Clone, Copy)]
pub struct ReplayOptions {
    pub changes: usize,
    pub seed: u64,
}

/// Runs a replay and checks what came of it; it fails by a panic, as a test does.
pub fn run(options: ReplayOptions) {
    let ReplayOptions { changes, seed } = options;
    eprintln!("replay: {changes} changes, seed {seed}");
    let mut cluster = Cluster::start(4);
    cluster.keep_if_it_fails();
    let files = project::files(changes);
    let files = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>();
    // Each attempt would do the same again.
    let repo = cluster.repo("kit", &files, &["--max-attempts", "1", "--limit", "developer=6"]);
    let start = repo.tip();
    let planned = plan::generate(changes, seed, &start);
    let began = Instant::now();
    let ids = add(&cluster, &planned);
    settle(&cluster, changes);
    let took = began.elapsed();
    verdict::check(&cluster, &repo, &start, &planned, &ids);
    verdict::summary(&cluster, &planned, took);
}

/// Adds all items at once; answers their numbers.
fn add(cluster: &Cluster, planned: &[Planned]) -> Vec<u64> {
    let line = |(number, planned): (usize, &Planned)| {
        let Planned { title, run, needs, fate: _ } = planned;
        let needs = needs.iter().map(|needed| format!("i{needed}")).collect::<Vec<_>>();
        json!({ "key": format!("i{number}"), "title": title, "run": run, "needs": needs }).to_string() + "\n"
    };
    let file = cluster.path().join("items.jsonl");
    std::fs::write(&file, planned.iter().enumerate().map(line).collect::<String>()).expect("is written");
    let added = cluster.json(&["item", "add", "--repo", "kit", "-f", &file.display().to_string()]);
    let added = added.as_array().expect("a list").iter();
    added.map(|item| item["id"].as_u64().expect("a number")).collect()
}

/// Waits until each item is done or blocked.
fn settle(cluster: &Cluster, changes: usize) {
    let (mut seen, mut since) = (Value::Null, Instant::now());
    loop {
        let status = cluster.json(&["status"]);
        let count = |stage: &str| status["items"][stage].as_u64().unwrap_or_default();
        if count("done") + count("blocked") == changes as u64 {
            return;
        }
        if status["last_seq"] != seen {
            (seen, since) = (status["last_seq"].clone(), Instant::now());
        }
        assert!(since.elapsed() < STALLED, "nothing came about for {STALLED:?}: {status}");
        std::thread::sleep(Duration::from_millis(500));
    }
}
