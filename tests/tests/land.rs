//! A person's own branches: through the queue, directly, and gate runs on request.

use serde_json::Value;
use sprint_tests::{Cluster, Repo, commit, eventually, git};

const GATE: &str = "[[gate]]\nname = \"test\"\nrun = \"! grep -q bad *.txt\"\n";

fn events(cluster: &Cluster, kind: &str) -> Vec<Value> {
    cluster.events().into_iter().filter(|event| event["kind"] == kind).collect()
}

/// The coordinator's ref of an attempt's work.
fn work(cluster: &Cluster, repo: &Repo, item: u64, attempt: u32) -> String {
    let path = cluster.coordinator_data().join("repos").join(format!("{}.git", repo.name));
    git(&path, &["rev-parse", &format!("refs/sprint/work/{item}/{attempt}")])
}

fn no_worker_is_left(cluster: &Cluster) {
    eventually("no worker is left", || cluster.json(&["worker", "list"]).as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_branch_of_the_upstream_lands_through_the_queue_as_an_item_of_its_own() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[("sprint.toml", GATE)], &[]);
    let head = repo.push_to("feature", &[("a.txt", "good\n")]);
    let dry = cluster.json(&["land", "feature", "--dry-run"]);
    assert_eq!((&dry["outcome"], &dry["change"], &dry["paths"][0]), (&"dry_run".into(), &Value::Null, &"a.txt".into()));
    assert_eq!(cluster.json(&["item", "list"]).as_array().map(Vec::len), Some(0), "a dry run does nothing");
    let report = cluster.json(&["land", "feature"]);
    assert_eq!((&report["outcome"], &report["head"]), (&"queued".into(), &Value::from(head.clone())));
    let id = report["item"].as_u64().expect("an item is made for it");
    cluster.landed(&repo, id);
    assert_eq!(repo.file("a.txt").as_deref(), Some("good\n"));
    assert_eq!(work(&cluster, &repo, id, 1), head);
    cluster.sprintctl(&["land", "feature"]).refused(&["main contains", "nothing to land"]);
    cluster.sprintctl(&["land", "no-such-branch"]).refused(&["no-such-branch", "no branch, ref or commit"]);
    cluster.sprintctl(&["land", "feature", "--repo", "other"]).refused(&["other"]);
    cluster.sprintctl(&["land", &id.to_string()]).refused(&["is done"]);
}

#[test]
fn a_newer_version_takes_the_place_of_the_one_in_the_queue() {
    let cluster = Cluster::start(2);
    let hold = cluster.hold("first");
    let gate = format!("[[gate]]\nname = \"test\"\nrun = '''if grep -q first a.txt; then {}; fi'''\n", hold.run);
    let repo = cluster.repo("web", &[("sprint.toml", &gate)], &[]);
    let first = repo.push_to("feature", &[("a.txt", "first\n")]);
    let id = cluster.json(&["land", "feature"])["item"].as_u64().expect("an item");
    hold.reached();
    assert_eq!(cluster.json(&["land", "feature"])["outcome"], "known", "the same again is no new change");
    let second = repo.push_to("feature", &[("a.txt", "second\n")]);
    let report = cluster.json(&["land", "feature"]);
    assert_eq!((&report["outcome"], report["item"].as_u64()), (&"replaced".into(), Some(id)));
    cluster.landed(&repo, id);
    assert_eq!(repo.file("a.txt").as_deref(), Some("second\n"));
    assert_eq!(repo.landings(id), 1);
    assert_eq!(work(&cluster, &repo, id, 1), first, "the first is not forgotten");
    assert_eq!(work(&cluster, &repo, id, 2), second);
    no_worker_is_left(&cluster);
    assert_eq!(cluster.changes(id).len(), 1);
    hold.release();
}

#[test]
fn beside_a_frozen_queue_it_lands_only_with_force_and_a_reason() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[("sprint.toml", GATE)], &[]);
    cluster.sprintctl(&["repo", "set", "web", "--freeze", "release day"]).succeeded();
    let waits = cluster.add(&repo, "Waits", &commit("b.txt", "b"));
    cluster.until(waits, "merging");
    repo.push_to("fix", &[("a.txt", "good\n")]);
    cluster.sprintctl(&["land", "fix", "--direct"]).refused(&["queue:", "release day"]);
    assert_eq!(cluster.sprintctl(&["land", "fix", "--direct", "--force"]).code, 2, "a reason is required");
    let report = cluster.json(&["land", "fix", "--direct", "--force", "--reason", "the site is down"]);
    let id = report["item"].as_u64().expect("an item");
    cluster.landed(&repo, id);
    assert_eq!(repo.landings(waits), 0, "the queue is still frozen");
    let skipped = events(&cluster, "landing_check_skipped");
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(skipped[0]["data"]["check"], "queue");
    assert_eq!(skipped[0]["data"]["reason"], "the site is down");
    assert!(skipped[0]["origin"].is_string(), "it is part of the audit");
    assert_eq!(cluster.count(id, "trial_gate_passed"), 1, "its gates ran");
    cluster.sprintctl(&["repo", "set", "web", "--resume"]).succeeded();
    cluster.landed(&repo, waits);
}

#[test]
fn a_direct_landing_whose_gates_fail_lands_only_without_them() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[("sprint.toml", GATE)], &[]);
    repo.push_to("fix", &[("a.txt", "bad\n")]);
    cluster.sprintctl(&["land", "fix", "--direct"]).refused(&["did not land", "failed with exit code 1"]);
    assert_eq!(repo.file("a.txt"), None);
    let id = cluster.json(&["item", "list", "--stage", "blocked"])[0]["id"].as_u64().expect("it is blocked");
    let number = id.to_string();
    cluster.sprintctl(&["land", &number, "--direct"]).refused(&["gates:", "has failed"]);
    cluster.sprintctl(&["land", &number, "--direct", "--skip-gates", "--reason", "the gate is wrong"]).succeeded();
    cluster.landed(&repo, id);
    let skipped = events(&cluster, "landing_check_skipped");
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!((&skipped[0]["data"]["check"], skipped[0]["item"].as_u64()), (&"gates".into(), Some(id)));
    let begun = events(&cluster, "change_landing_begun");
    assert_eq!(begun.last().map(|event| &event["data"]["trial"]), Some(&Value::Null));
    cluster.coordinator_command(&["check"], &[]).succeeded();
}

#[test]
fn what_an_attempt_left_uncommitted_stays_behind_only_when_a_person_says_so() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let id = cluster.add(&repo, "Half done", &format!("{} && echo more > b.txt && exit 1", commit("a.txt", "a")));
    cluster.until(id, "blocked");
    let number = id.to_string();
    cluster.sprintctl(&["land", &number, "--direct"]).refused(&["clean:", "did not commit"]);
    assert_eq!(repo.landings(id), 0);
    cluster.sprintctl(&["land", &number, "--direct", "--force", "--reason", "enough for now"]).succeeded();
    cluster.landed(&repo, id);
    assert_eq!(repo.file("a.txt").as_deref(), Some("a\n"));
    assert_eq!(repo.file("b.txt"), None);
    assert_eq!(events(&cluster, "landing_check_skipped")[0]["data"]["check"], "clean");
}

#[test]
fn a_worker_is_in_the_way_until_a_person_has_it_end() {
    let cluster = Cluster::start(1);
    let hold = cluster.hold("at-work");
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add(&repo, "Slow", &hold.run);
    hold.reached();
    repo.push_to("by-hand", &[("a.txt", "mine\n")]);
    let number = id.to_string();
    let land = ["land", "by-hand", "--item", &number];
    cluster.sprintctl(&land).refused(&["worker:", "is on its item"]);
    let force = ["--direct", "--force", "--reason", "I did it myself"];
    cluster.sprintctl(&[&land[..], &force].concat()).succeeded();
    cluster.landed(&repo, id);
    no_worker_is_left(&cluster);
    assert_eq!(cluster.item(id)["stage"], "done");
    cluster.coordinator_command(&["check"], &[]).succeeded();
}

#[test]
fn a_conflict_cannot_be_forced() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[("a.txt", "one\n")], &[]);
    repo.push_to("mine", &[("a.txt", "mine\n")]);
    let theirs = cluster.add(&repo, "Theirs", &commit("a.txt", "theirs"));
    cluster.landed(&repo, theirs);
    let force = ["land", "mine", "--direct", "--force", "--skip-gates", "--reason", "now"];
    cluster.sprintctl(&force).refused(&["merge:", "a.txt"]);
    assert_eq!(repo.file("a.txt").as_deref(), Some("theirs\n"));
}

#[test]
fn gates_run_by_hand_as_in_the_queue_and_land_nothing() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[("sprint.toml", GATE)], &[]);
    let tip = repo.tip();
    // The glob must meet something.
    let green = repo.push_to("green", &[("a.txt", "good\n")]);
    let first = cluster.json(&["gate", "run", "--ref", "green"]);
    assert_eq!(
        (&first["state"], &first["purpose"], &first["commit"]),
        (&"passed".into(), &"hand".into(), &green.into())
    );
    let known = cluster.json(&["gate", "run", "--repo", "web", "--ref", "green"]);
    assert_eq!(known["same_as"], first["id"], "the same tree is not gated twice");
    assert_eq!(cluster.json(&["gate", "run", "--ref", "green", "--again"])["same_as"], Value::Null);
    assert_eq!(cluster.json(&["gate", "run"])["commit"], tip.as_str());
    repo.push_to("broken", &[("a.txt", "bad\n")]);
    let failed = cluster.sprintctl(&["gate", "run", "--ref", "broken", "--gate", "test"]);
    failed.refused(&["failed with exit code 1"]);
    cluster.sprintctl(&["gate", "run", "--gate", "lint"]).refused(&["lint", "the gates are: test"]);
    assert_eq!(repo.tip(), tip);
    assert_eq!(cluster.json(&["item", "list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn gates_whose_caller_left_are_ended() {
    let cluster = Cluster::start(1);
    let hold = cluster.hold("gate");
    let gate = format!("[[gate]]\nname = \"test\"\nrun = '''{}'''\n", hold.run);
    cluster.repo("web", &[("sprint.toml", &gate)], &[]);
    let running = cluster.spawn(&["gate", "run"]);
    hold.reached();
    running.ended();
    eventually("the trial is cancelled", || events(&cluster, "trial_cancelled").len() == 1);
    no_worker_is_left(&cluster);
    cluster.coordinator_command(&["check"], &[]).succeeded();
}

#[test]
fn an_unreadable_configuration_is_repaired_by_a_direct_landing_that_is_recorded() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[("sprint.toml", GATE)], &[]);
    repo.push(&[("sprint.toml", "[[gate\n")]);
    let waits = cluster.add(&repo, "Waits", &commit("b.txt", "b"));
    eventually("the queue halts", || !cluster.json(&["repo", "show", "web"])["halted"].is_null());
    repo.push_to("fix", &[("sprint.toml", GATE)]);
    cluster.sprintctl(&["land", "fix", "--direct"]).refused(&["queue:", "gates:", "sprint.toml"]);
    cluster
        .sprintctl(&["land", "fix", "--direct", "--force", "--skip-gates", "--reason", "mend the gates"])
        .succeeded();
    let skipped = events(&cluster, "landing_check_skipped");
    let skipped = skipped.iter().map(|event| event["data"]["check"].as_str()).collect::<Vec<_>>();
    assert_eq!(skipped, [Some("queue"), Some("gates")]);
    // It can be read again: the queue goes on by itself.
    cluster.landed(&repo, waits);
}
