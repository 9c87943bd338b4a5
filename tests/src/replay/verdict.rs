//! What must be so at the end of a replay.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::plan::{Fate, Planned};
use crate::git::{git, try_git};
use crate::{Cluster, Repo, eventually};

/// Checks what became of each change, and every commit that main was.
pub(super) fn check(cluster: &Cluster, repo: &Repo, start: &str, planned: &[Planned], ids: &[u64]) {
    fates(cluster, planned, ids);
    let own = cluster.coordinator_data().join("repos/kit.git");
    eventually("main is pushed", || repo.tip() == git(&own, &["rev-parse", "main"]));
    let range = format!("{start}..main");
    let commits = git(&repo.upstream, &["rev-list", "--reverse", "--first-parent", &range]);
    let commits = commits.lines().collect::<Vec<_>>();
    on_record(cluster, repo, &commits);
    std::thread::scope(|scope| {
        for share in commits.chunks(commits.len().div_ceil(2).max(1)) {
            scope.spawn(move || share.iter().for_each(|commit| gated_again(repo, commit)));
        }
    });
    eprintln!("replay: each of the {} commits that main was is green from scratch", commits.len());
}

fn fates(cluster: &Cluster, planned: &[Planned], ids: &[u64]) {
    let items = cluster.json(&["item", "list"]);
    let items = items.as_array().expect("a list").iter();
    let items = items.map(|item| (item["id"].as_u64().expect("a number"), item)).collect::<BTreeMap<_, _>>();
    let landed = |number: usize| items[&ids[number]]["stage"] == "done";
    for (number, Planned { title, fate, .. }) in planned.iter().enumerate() {
        let item = cluster.item(ids[number]);
        let reason = item["reason"].to_string();
        let tell = || format!("{title} ({fate:?}): {item}\n{}", explained(cluster, ids[number]));
        match fate {
            Fate::Lands => assert!(landed(number), "{}", tell()),
            Fate::Fails => assert!(!landed(number) && reason.contains("gate \\\"build\\\""), "{}", tell()),
            Fate::Clashes(other) => {
                assert!(landed(number) != landed(*other), "{}", tell());
                assert!(landed(number) || reason.contains("gate \\\"build\\\""), "{}", tell());
            }
            Fate::Conflicts(other) => {
                assert!(landed(number) != landed(*other), "{}", tell());
                let names = reason.contains("conflict") && reason.contains(&format!("item {}", ids[*other]));
                assert!(landed(number) || names, "{}", tell());
            }
        }
    }
}

fn explained(cluster: &Cluster, id: u64) -> String {
    let changes = cluster.changes(id);
    let why = |change: &Value| cluster.sprintctl(&["change", "why", &change["id"].to_string()]).text();
    changes.iter().map(why).collect()
}

/// Each commit that main was is one that the record says was to land, with the tree on record, which a gate passed.
fn on_record(cluster: &Cluster, repo: &Repo, commits: &[&str]) {
    let events = cluster.events();
    let of_kind = |kind: &'static str| events.iter().filter(move |event| event["kind"] == kind);
    let passed =
        of_kind("trial_gate_passed").filter_map(|event| event["data"]["tree"].as_str()).collect::<BTreeSet<_>>();
    let landing = of_kind("change_landing_begun").map(|event| &event["data"]["candidate"]);
    let tree_of = landing.filter_map(|candidate| candidate["commit"].as_str().zip(candidate["tree"].as_str()));
    let tree_of = tree_of.collect::<BTreeMap<_, _>>();
    for commit in commits {
        let tree = git(&repo.upstream, &["rev-parse", &format!("{commit}^{{tree}}")]);
        assert_eq!(tree_of.get(commit), Some(&tree.as_str()), "the tree of {commit} is the one on record");
        assert!(passed.contains(tree.as_str()), "{commit} has a tree that no gate passed");
    }
}

/// Runs the gate on a commit, in a directory that has nothing else.
fn gated_again(repo: &Repo, commit: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = directory.path().join("archive.tar");
    let made = try_git(&repo.upstream, &["archive", "-o", &archive.display().to_string(), commit]);
    assert!(made.status.success(), "{commit} can be read");
    let run = |program: &str, args: &[&str]| {
        Command::new(program).args(args).current_dir(directory.path()).output().expect("it runs")
    };
    assert!(run("tar", &["xf", "archive.tar"]).status.success(), "{commit} can be unpacked");
    let gate = run("sh", &["gate.sh"]);
    let said = String::from_utf8_lossy(&gate.stdout) + String::from_utf8_lossy(&gate.stderr);
    assert!(gate.status.success(), "main was red at {commit}: {said}");
}

/// Prints the figures.
pub(super) fn summary(cluster: &Cluster, planned: &[Planned], took: Duration) {
    let events = cluster.events();
    let count = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    let landed = count("change_landed");
    let sent_back = count("change_gates_failed") + count("change_conflicted");
    let moves = events.iter().filter(|event| event["kind"] == "change_landing_begun");
    let moves = moves.filter_map(|event| event["data"]["candidate"]["commit"].as_str()).collect::<BTreeSet<_>>().len();
    let (trials, gates) = (count("trial_begun"), count("trial_gate_assigned"));
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let each = gates as f64 / landed as f64;
    eprintln!(
        "replay: {} changes, {landed} landed by {moves} moves of main, {sent_back} sent back ({} by conflicts), {trials} trials, {gates} gates ({each:.2} for each that landed), {:.0} s",
        planned.len(),
        count("change_conflicted"),
        took.as_secs_f64(),
    );
}
