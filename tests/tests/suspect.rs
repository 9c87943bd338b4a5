//! Whose fault it is: a host that lacks something blames no item for long, and gets little until it has it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sprint_tests::{Cluster, OutpostOptions, eventually};

/// A directory for the search path of an outpost, with an agent or without.
fn tools(cluster: &Cluster, name: &str, agent: Option<&str>) -> PathBuf {
    let dir = cluster.path().join(name);
    fs::create_dir_all(&dir).expect("is made");
    if let Some(script) = agent {
        install(&dir, script);
    }
    dir
}

fn install(dir: &Path, script: &str) {
    let (path, fresh) = (dir.join("the-agent"), dir.join(".new"));
    fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).expect("is written");
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).expect("is changed");
    fs::rename(fresh, path).expect("is put there");
}

fn add(cluster: &mut Cluster, name: &str, tools: &Path) {
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let variables = vec![("PATH".to_owned(), path)];
    cluster.add_outpost(name, OutpostOptions { max_workers: 4, variables, ..OutpostOptions::default() });
    cluster.online(name);
}

const WELL: &str = "sprintctl item resolve --nothing-to-do 'it is there'";

/// A hundred items over a good outpost and one whose agent is so; how many attempts were blamed on items.
fn blamed(bad: Option<&str>) -> usize {
    let mut cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &["--run", "the-agent", "--nothing-to-do", "done"]);
    let good = tools(&cluster, "good-tools", Some(WELL));
    let bad = tools(&cluster, "bad-tools", bad);
    add(&mut cluster, "bad", &bad);
    add(&mut cluster, "good", &good);
    let lines: Vec<_> = (0..100).map(|number| format!("{{\"title\":\"{number}\"}}")).collect();
    let lines = lines.join("\n");
    cluster.feed(&["item", "add", "--repo", &repo.name, "-f", "-"], lines.as_bytes()).succeeded();
    eventually("all are done", || {
        let items = cluster.json(&["item", "list"]);
        let stages: Vec<_> = items.as_array().expect("a list").iter().map(|item| item["stage"].clone()).collect();
        assert!(!stages.contains(&"blocked".into()), "no item is blocked: {items}");
        stages.iter().all(|stage| stage == "done")
    });
    let events = cluster.events();
    let suspect = events.iter().find(|event| event["kind"] == "outpost_suspect").expect("it is suspect");
    assert_eq!(suspect["data"]["outpost"], "bad");
    let shown = cluster.sprintctl(&["outpost", "list"]).succeeded().text();
    assert!(shown.contains("suspect since") && shown.contains("exited with code"), "{shown}");
    events.iter().filter(|event| event["kind"] == "item_attempt_failed").count()
}

#[test]
fn a_host_without_the_agent_blames_no_item() {
    assert_eq!(blamed(None), 0);
}

#[test]
fn a_host_whose_agent_fails_at_once_blames_at_most_three_tries() {
    let blamed = blamed(Some("echo 'not logged in'; exit 1"));
    assert!((1..=3).contains(&blamed), "{blamed}");
}

#[test]
fn the_only_host_is_tried_once_more_and_recovers_by_itself() {
    let mut cluster = Cluster::start(0);
    let options = ["--run", "the-agent", "--nothing-to-do", "done", "--max-attempts", "1"];
    let repo = cluster.repo("web", &[], &options);
    let tools = tools(&cluster, "tools", None);
    add(&mut cluster, "only", &tools);
    let first = cluster.add_with(&repo, "First", "", &[]);
    let item = cluster.until(first, "blocked");
    assert!(item["reason"].as_str().is_some_and(|why| why.contains("command not found")), "{item}");
    assert_eq!(cluster.workers(first).len(), 2, "two tries, and no more");
    // The next ones make it suspect; what waits says why.
    let waiting: Vec<_> = (0..6).map(|number| cluster.add_with(&repo, &format!("{number}"), "", &[])).collect();
    eventually("it is suspect", || cluster.json(&["outpost", "list"])[0]["suspicion"].is_object());
    let last = waiting[5].to_string();
    eventually("what waits says so", || {
        let explained = cluster.sprintctl(&["item", "explain", &last]).text();
        explained.contains("one worker at a time") || explained.contains("is blocked")
    });
    let live = cluster.json(&["worker", "list"]).as_array().map_or(0, Vec::len);
    assert!(live <= 1, "{live} workers at a time");
    install(&tools, WELL);
    for id in &waiting {
        eventually("it is over", || {
            ["done", "blocked"].contains(&cluster.item(*id)["stage"].as_str().unwrap_or_default())
        });
    }
    assert_eq!(cluster.item(waiting[5])["stage"], "done");
    assert!(cluster.json(&["outpost", "list"])[0]["suspicion"].is_null(), "it is trusted again");
}

#[test]
fn a_gate_whose_command_is_missing_fails_after_two_runs() {
    let mut cluster = Cluster::start(1);
    let gate = "[[gate]]\nname = \"lint\"\nrun = \"no-such-linter\"\n";
    let repo = cluster.repo("web", &[("sprint.toml", gate)], &["--max-attempts", "1"]);
    let id = cluster.add(&repo, "Is fine", &sprint_tests::commit("a.txt", "a"));
    // The branch itself cannot be gated, so the change is not to blame: it waits, and says why.
    eventually("it says why", || {
        let explained = cluster.sprintctl(&["item", "explain", &id.to_string()]).text();
        explained.contains("the branch itself does not pass its gates")
            && explained.contains("\"lint\": command not found")
    });
    let gates = |cluster: &Cluster| {
        let workers = cluster.json(&["worker", "list", "--all"]);
        workers.as_array().expect("a list").iter().filter(|worker| worker["role"] == "gate").count()
    };
    assert_eq!(gates(&cluster), 4, "two for the change, two for the branch");
    cluster.kill_coordinator();
    cluster.start_coordinator();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(gates(&cluster), 4, "and none again");
    // With a gate that is there it lands.
    repo.push(&[("sprint.toml", "[[gate]]\nname = \"lint\"\nrun = \"true\"\n")]);
    cluster.landed(&repo, id);
}
