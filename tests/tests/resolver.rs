//! Changes that do not merge: who resolves them, from what, and what is kept.

use sprint_tests::{Cluster, Repo, commit, eventually, git};

/// Merges the tip, and keeps both sides' lines of the menu.
const KEEP_BOTH: &str = "grep -v '^[<=>]' menu.txt > both; mv both menu.txt; git add menu.txt";

fn merge() -> String {
    format!("git merge -q --no-edit $SPRINT_BASE || {{ {KEEP_BOTH}; git commit -qm merged; }}")
}

/// A worker's command line that changes the menu's only line.
fn line(word: &str) -> String {
    format!("sed -i 's/$/ {word}/' menu.txt && git commit -qam '{word}'")
}

fn repo(cluster: &Cluster, options: &[&str]) -> Repo {
    cluster.repo("web", &[("menu.txt", "soup\n")], options)
}

/// Two items that change the same line: the early one lands, the late one comes back. What the late one runs when it
/// is tried again.
fn collide(cluster: &Cluster, repo: &Repo, again: &str) -> (u64, u64) {
    let hold = cluster.hold("late");
    let run = format!("if test $SPRINT_ATTEMPT = 1; then {}; {}; else {again}; fi", hold.run, line("late"));
    let late = cluster.add(repo, "Serve late", &run);
    hold.reached();
    let early = cluster.add_with(repo, "Serve early", &line("early"), &["--description", "Some rise at five."]);
    cluster.until(early, "done");
    eventually("the landing reaches the upstream", || repo.file("menu.txt").as_deref() == Some("soup early\n"));
    hold.release();
    (early, late)
}

/// An item's attempts: the number of each, and the role of its worker.
fn attempts(cluster: &Cluster, item: u64) -> Vec<String> {
    let of = |worker: &serde_json::Value| format!("{} {}", worker["attempt"], worker["role"].as_str().unwrap_or(""));
    cluster.workers(item).iter().filter(|worker| worker["role"] != "gate").map(of).collect()
}

/// The refs that are kept of an item's attempts.
fn kept(cluster: &Cluster, item: u64) -> Vec<String> {
    let shown = cluster.item(item);
    let kept = shown["kept"].as_array().expect("a list").iter();
    kept.filter_map(|kept| kept["name"].as_str().map(ToOwned::to_owned)).collect()
}

#[test]
fn a_resolver_merges_what_conflicts_and_both_sides_work_lands() {
    let cluster = Cluster::start(2);
    let hold = cluster.hold("resolver");
    let told = cluster.shared().join("told.md");
    let resolver = format!("resolver=cp $SPRINT_PROMPT_FILE {}; {}; {}", told.display(), hold.run, merge());
    let repo = repo(&cluster, &["--role-run", &resolver, "--limit", "resolver=1", "--gate", "both=test -s menu.txt"]);
    let (early, late) = collide(&cluster, &repo, "false");
    hold.reached();

    let (item, tip) = (cluster.item(late), repo.tip());
    let (conflict, change) = (&item["conflict"], &cluster.changes(late)[0]);
    assert_eq!((&conflict["change"], &conflict["head"]), (&change["id"], &change["head"]));
    assert_eq!(conflict["attempt"], 1);
    assert_eq!(conflict["paths"], serde_json::json!(["menu.txt"]));
    assert_eq!(conflict["others"], serde_json::json!([early]));
    let what = format!("change {} of attempt 1 conflicts in menu.txt, with item {early}", change["id"]);
    let shown = cluster.sprintctl(&["item", "show", &late.to_string()]).succeeded().text();
    assert!(shown.contains(&format!("conflict  {what}\n")), "{shown}");
    let explained = cluster.sprintctl(&["item", "explain", &late.to_string()]).succeeded().text();
    assert!(explained.contains(&format!("{what}; a resolver is to merge it")), "{explained}");
    let told = std::fs::read_to_string(told).expect("it was told");
    for text in [
        "- menu.txt",
        "Serve late",
        &format!("git merge --no-edit {tip}"),
        &format!("Item {early}: Serve early"),
        "five",
    ] {
        assert!(told.contains(text), "{text} is not in {told}");
    }

    hold.release();
    let item = cluster.landed(&repo, late);
    assert_eq!((&item["attempt"], &item["conflict"]), (&2.into(), &serde_json::Value::Null));
    assert_eq!(attempts(&cluster, late), ["1 developer", "2 resolver"]);
    assert_eq!(repo.file("menu.txt").as_deref(), Some("soup late\nsoup early\n"));
    let states = cluster.changes(late).iter().map(|change| change["state"].to_string()).collect::<Vec<_>>();
    assert_eq!(states, ["\"conflicted\"", "\"landed\""]);
    // The developer's own commit is part of it, and the branch that conflicted is kept.
    git(&repo.upstream, &["merge-base", "--is-ancestor", change["head"].as_str().expect("a commit"), "main"]);
    let refs = kept(&cluster, late);
    for attempt in [1, 2] {
        assert!(refs.contains(&format!("refs/sprint/work/{late}/{attempt}")), "{refs:?}");
    }
}

#[test]
fn without_a_resolver_a_developer_brings_it_again() {
    let cluster = Cluster::start(1);
    let repo = repo(&cluster, &["--role-run", "tester=false"]);
    let hold = cluster.hold("again");
    let (early, late) = collide(&cluster, &repo, &format!("{}; {}", hold.run, line("late")));
    hold.reached();
    assert_eq!(cluster.item(late)["conflict"]["others"], serde_json::json!([early]));
    let explained = cluster.sprintctl(&["item", "explain", &late.to_string()]).succeeded().text();
    assert!(explained.contains("; a developer is to bring it again"), "{explained}");
    hold.release();
    cluster.landed(&repo, late);
    assert_eq!(attempts(&cluster, late), ["1 developer", "2 developer"]);
    assert_eq!(repo.file("menu.txt").as_deref(), Some("soup early late\n"));
}

#[test]
fn a_resolver_that_fails_blocks_the_item_in_the_end_and_all_work_is_kept() {
    let cluster = Cluster::start(1);
    let resolver = format!("resolver={}; exit 3", commit("notes.txt", "half of it"));
    let repo = repo(&cluster, &["--max-attempts", "3", "--role-run", &resolver]);
    let (_, late) = collide(&cluster, &repo, &line("late"));
    let item = cluster.until(late, "blocked");
    assert_eq!(item["reason"], "attempt 3 of 3 failed: exited with code 3");
    assert_eq!(attempts(&cluster, late), ["1 developer", "2 resolver", "3 resolver"]);
    assert_eq!(item["conflict"]["attempt"], 1, "what is left to do is still there");
    let refs = kept(&cluster, late);
    for attempt in 1..=3 {
        assert!(refs.contains(&format!("refs/sprint/work/{late}/{attempt}")), "{refs:?}");
    }
    // A person retries it.
    cluster.sprintctl(&["item", "retry", &late.to_string()]).succeeded();
    cluster.landed(&repo, late);
    assert_eq!(attempts(&cluster, late).last().map(String::as_str), Some("4 developer"));
    assert_eq!(repo.file("menu.txt").as_deref(), Some("soup early late\n"));
}

#[test]
fn a_resolver_that_merges_nothing_fails_and_one_that_does_not_commit_is_sent_back() {
    let cluster = Cluster::start(1);
    let forgetful = format!(
        "resolver=if test $SPRINT_ATTEMPT = 2; then exit 0; fi; git rev-parse -q --verify MERGE_HEAD && exec git commit -qm merged; git merge -q --no-edit $SPRINT_BASE; {KEEP_BOTH}"
    );
    let repo = repo(&cluster, &["--role-run", &forgetful]);
    let (_, late) = collide(&cluster, &repo, "false");
    let item = cluster.landed(&repo, late);
    assert_eq!(attempts(&cluster, late), ["1 developer", "2 resolver", "3 resolver"]);
    assert_eq!((cluster.changes(late).len(), cluster.count(late, "worker_sent_back")), (2, 1));
    let failed = item["feedback"][1]["text"].to_string();
    assert!(failed.contains("left nothing: no commit, no change"), "{failed}");
    assert_eq!(repo.file("menu.txt").as_deref(), Some("soup late\nsoup early\n"));
}

#[test]
fn what_is_resolved_lands_by_every_method() {
    let rebase = format!("git rebase -q $SPRINT_BASE || {{ {KEEP_BOTH}; GIT_EDITOR=true git rebase --continue; }}");
    for (method, command, resolve) in [
        ("squash", "git merge --no-edit", merge()),
        ("rebase", "git rebase", rebase),
        ("fast-forward", "git merge --no-edit", merge()),
    ] {
        let cluster = Cluster::start(1);
        let told = cluster.shared().join("told.md");
        let resolver = format!("resolver=cp $SPRINT_PROMPT_FILE {}; {resolve}", told.display());
        let config = format!("[merge]\nmethod = \"{method}\"\n[[gate]]\nname = \"ok\"\nrun = \"true\"\n");
        let files = [("menu.txt", "soup\n"), ("sprint.toml", &config)];
        let repo = cluster.repo("web", &files, &["--role-run", &resolver]);
        let (_, late) = collide(&cluster, &repo, "false");
        cluster.until(late, "done");
        eventually("both are on the upstream", || {
            let menu = repo.file("menu.txt").unwrap_or_default();
            menu.contains("soup early\n") && menu.contains("soup late\n")
        });
        assert_eq!(attempts(&cluster, late), ["1 developer", "2 resolver"], "{method}");
        let told = std::fs::read_to_string(told).expect("it was told");
        assert!(told.contains(&format!("    {command} ")), "{method}: {told}");
    }
}

#[test]
fn of_two_that_conflict_in_the_queue_the_second_is_resolved() {
    let cluster = Cluster::start(2);
    let hold = cluster.hold("gate");
    let gate = format!("hold=if grep -q early menu.txt && ! grep -q late menu.txt; then {}; fi", hold.run);
    let repo = repo(&cluster, &["--gate", &gate, "--role-run", &format!("resolver={}", merge())]);
    let early = cluster.add(&repo, "Serve early", &line("early"));
    hold.reached();
    let late = cluster.add(&repo, "Serve late", &line("late"));
    eventually("the queue has looked at both", || cluster.count(late, "trial_begun") > 0);
    hold.release();
    let (early, late) = (cluster.landed(&repo, early), cluster.landed(&repo, late));
    let tries = [&early, &late].map(|item| item["attempt"].as_u64());
    assert!([[Some(1), Some(2)], [Some(2), Some(1)]].contains(&tries), "one of them is resolved: {tries:?}");
    let menu = repo.file("menu.txt").unwrap_or_default();
    assert!(menu.contains("soup early\n") && menu.contains("soup late\n"), "{menu}");
    let unmergeable = |event: &serde_json::Value| event["data"]["state"] == "unmergeable";
    assert!(cluster.events().iter().any(unmergeable), "both were tried together");
    let count = |kind: &str| cluster.events().iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((count("change_conflicted"), count("change_gates_failed")), (1, 0));
}

#[test]
fn a_branch_that_only_lacks_the_tip_goes_to_a_resolver_too() {
    let cluster = Cluster::start(1);
    let config = "[merge]\nmethod = \"fast-forward\"\n";
    let resolver = "resolver=git merge -q --no-edit $SPRINT_BASE";
    let repo = cluster.repo("web", &[("sprint.toml", config)], &["--role-run", resolver]);
    let hold = cluster.hold("late");
    let late = cluster.add(&repo, "Late", &format!("{}; {}", hold.run, commit("late.txt", "late")));
    hold.reached();
    let early = cluster.add(&repo, "Early", &commit("early.txt", "early"));
    cluster.until(early, "done");
    hold.release();
    let item = cluster.until(late, "done");
    assert!(item["feedback"][0]["text"].to_string().contains("does not hold the tip of main"), "{item}");
    assert_eq!(attempts(&cluster, late), ["1 developer", "2 resolver"]);
    eventually("both are on the upstream", || repo.file("early.txt").is_some() && repo.file("late.txt").is_some());
}
