//! What must be so when a soak's faults are over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::faults::Faults;
use super::load::Load;
use super::site::{SMALL, Site};
use super::work::Planned;
use crate::git::git;

/// How long nothing at all may come about while something is still to be done.
const STALLED: Duration = Duration::from_mins(2);

/// Waits until every item is done and landed, and checks everything that a fault may have spoilt.
pub(super) fn check(site: &Site, load: &Load, faults: &Faults) {
    converge(site);
    let moves = faults.moves();
    // Work continued in spite of them; no component promises to remove them.
    faults.remove_planted();
    let items = site.cluster.json(&["item", "list"]);
    let items = items.as_array().expect("a list");
    let planned = load.planned.iter().map(|planned| (planned.title(), *planned)).collect::<BTreeMap<_, _>>();
    let mut of_item = BTreeMap::new();
    for item in items {
        let id = item["id"].as_u64().expect("a number");
        let planned = planned[item["title"].as_str().expect("a title")];
        assert!(of_item.insert(id, planned).is_none(), "item {id} is there twice");
    }
    for id in &load.acknowledged {
        assert!(of_item.contains_key(id), "item {id} was acknowledged, and is not there");
    }
    landed(site, &of_item, moves);
    site.cluster.nothing_is_left("web");
    logs(site, &of_item);
    let seqs = site.cluster.events().iter().filter_map(|event| event["seq"].as_u64()).collect::<Vec<_>>();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "the record has no gap");
    eprintln!("soak: {} items, {} events, all accounted for", items.len(), seqs.len());
}

/// What people would see of work that is not over.
fn not_done(site: &Site) -> Vec<String> {
    let answer = site.cluster.sprintctl(&["item", "list", "-o", "json"]);
    if answer.code != 0 {
        return vec![answer.stderr];
    }
    let items = answer.json();
    let open = items.as_array().into_iter().flatten().filter(|item| item["stage"] != "done");
    open.map(|item| format!("item {} is {}, attempt {}", item["id"], item["stage"], item["attempt"])).collect()
}

fn converge(site: &Site) {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        site.settle();
        let left = not_done(site);
        if left.is_empty() && site.is_pushed() {
            return;
        }
        let events = site.cluster.json(&["status"])["last_seq"].as_u64().unwrap_or_default();
        if events != seen {
            (seen, since) = (events, Instant::now());
        }
        if since.elapsed() > STALLED {
            for line in &left {
                let id = line.split(' ').nth(1).unwrap_or_default();
                eprintln!("{line}\n{}", site.cluster.sprintctl(&["item", "explain", id]).text());
            }
            eprintln!("{}", site.cluster.sprintctl(&["repo", "show", "web"]).text());
            panic!("nothing came about for {STALLED:?}, and {} items are not done", left.len());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The upstream's main holds each item's file and nothing else, and each item has landed once.
fn landed(site: &Site, of_item: &BTreeMap<u64, Planned>, moves: usize) {
    let upstream = &site.repo.upstream;
    let trailers = git(upstream, &["log", "--format=%(trailers:key=Sprint-Item,valueonly,separator=)", "main"]);
    let mut landings = trailers.lines().filter_map(|line| line.parse::<u64>().ok()).collect::<Vec<_>>();
    landings.sort_unstable();
    assert_eq!(landings, of_item.keys().copied().collect::<Vec<_>>(), "each item lands once");
    let mut files =
        git(upstream, &["ls-tree", "-r", "--name-only", "main"]).lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let mut wanted = of_item.values().map(|planned| planned.file().0).collect::<Vec<_>>();
    wanted.extend((0..moves).map(|number| format!("moved-{number}")));
    wanted.push("README".to_owned());
    files.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(files, wanted, "main holds what was landed");
    for planned in of_item.values() {
        let (file, content) = planned.file();
        assert_eq!(site.repo.file(&file).as_deref(), Some(content.as_str()), "{file}");
    }
}

/// The coordinator has every byte that a worker printed which came to its end, and no wrong one of the others.
fn logs(site: &Site, of_item: &BTreeMap<u64, Planned>) {
    let workers = site.cluster.json(&["worker", "list", "--all"]);
    let mut ends = BTreeMap::<String, u32>::new();
    for worker in workers.as_array().expect("a list").iter().filter(|worker| worker["role"] == "developer") {
        let number = |key: &str| worker[key].as_u64().expect("a number");
        let (id, item, attempt) = (number("id"), number("item"), number("attempt"));
        let wanted = of_item[&item].output(item, attempt);
        let answer = site.cluster.sprintctl(&["worker", "logs", &id.to_string()]);
        let log = answer.text();
        let state = worker["state"].as_str().unwrap_or_default();
        *ends.entry(state.to_owned()).or_default() += 1;
        let sound = match state {
            "done" => log == wanted,
            // Where there was no room it says so, and its log may have had none either.
            _ if worker["outpost"] == SMALL => true,
            _ => wanted.starts_with(&log),
        };
        assert!(sound, "the log of worker {id}, {state}, {worker}:\n{log:?}\nand it printed:\n{wanted:?}");
    }
    eprintln!("soak: workers by their end: {ends:?}");
}
