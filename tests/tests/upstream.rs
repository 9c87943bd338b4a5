//! A repo and its upstream: done is delivered, and what keeps a landing from its upstream is said.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sprint_tests::{Cluster, Repo, commit, eventually, git};

/// Has the upstream refuse every push, with words of its own.
fn protect(repo: &Repo, words: &str) -> PathBuf {
    let hook = repo.upstream.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().expect("a parent")).expect("is made");
    fs::write(&hook, format!("#!/bin/sh\necho '{words}' >&2\nexit 1\n")).expect("is written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("is executable");
    hook
}

/// Waits until an item has landed here and is not at the upstream; answers the commit.
fn landed_here(cluster: &Cluster, id: u64) -> String {
    let landed = |item: &Value| item["stage"] == "merging" && item["commit"].is_string();
    eventually("it has landed here", || landed(&cluster.item(id)));
    cluster.item(id)["commit"].as_str().expect("a commit").to_owned()
}

fn explained(cluster: &Cluster, id: u64) -> Value {
    cluster.json(&["item", "explain", &id.to_string()])["reasons"][0].clone()
}

fn events(cluster: &Cluster, kind: &str) -> usize {
    cluster.events().iter().filter(|event| event["kind"] == kind).count()
}

/// A clone of one's own, with its main checked out, as a repo's upstream.
fn checkout(cluster: &Cluster, name: &str) -> Repo {
    let source = cluster.repo(&format!("{name}-source"), &[("theirs.txt", "one\n")], &[]);
    let path = cluster.path().join(name);
    git(cluster.path(), &["clone", "--quiet", &source.upstream.display().to_string(), &path.display().to_string()]);
    cluster.sprintctl(&["repo", "add", name, &path.display().to_string()]).succeeded();
    Repo { name: name.to_owned(), upstream: path }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn an_item_is_done_when_the_upstream_has_it_and_says_why_it_is_not_before() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let hook = protect(&repo, "GH006: Protected branch update failed for main");
    let first = cluster.add(&repo, "First", &commit("first.txt", "1"));
    let needs = ["--needs", &first.to_string()];
    let second = cluster.add_with(&repo, "Second", &format!("test -e first.txt && {}", commit("2.txt", "2")), &needs);

    let commit = landed_here(&cluster, first);
    eventually("the refusal is known", || explained(&cluster, first)["message"].to_string().contains("GH006"));
    let reason = explained(&cluster, first);
    assert_eq!((&reason["code"], &reason["severity"]), (&"item.not_at_upstream".into(), &"waiting".into()), "{reason}");
    let message = reason["message"].as_str().expect("a message");
    assert!(message.contains(&commit[..8]) && message.contains("pre-receive hook declined"), "{message}");
    assert!(!message.contains("remote:") && !message.contains("fsyncObjectFiles"), "no noise: {message}");
    let change = cluster.changes(first)[0]["id"].to_string();
    for (what, args) in [
        ("status", vec!["status"]),
        ("repo show", vec!["repo", "show", "web"]),
        ("change explain", vec!["change", "explain", &change]),
    ] {
        let text = cluster.sprintctl(&args).succeeded().text();
        assert!(text.contains("GH006"), "{what}: {text}");
    }
    let list = cluster.sprintctl(&["repo", "list"]).succeeded().text();
    assert!(list.contains("undelivered"), "{list}");

    // Its landing is the base of what needs it, and the tries leave no trail of events.
    landed_here(&cluster, second);
    cluster.kill_coordinator();
    cluster.start_coordinator();
    assert_eq!(landed_here(&cluster, first), commit);
    assert_eq!(events(&cluster, "repo_push_failed"), 1);
    assert!(events(&cluster, "repo_pushing") <= 2, "one for each tip");

    let waiting = cluster.spawn(&["wait", &first.to_string(), &second.to_string()]);
    fs::remove_file(hook).expect("is removed");
    cluster.landed(&repo, first);
    cluster.landed(&repo, second);
    waiting.ended().succeeded();
    assert!(!cluster.sprintctl(&["status"]).succeeded().text().contains("GH006"));
    cluster.coordinator_command(&["check"], &[]).succeeded();
}

#[test]
fn a_landing_updates_a_checkout_and_waits_while_its_files_are_changed() {
    let cluster = Cluster::start(1);
    let repo = checkout(&cluster, "mine");
    let first = cluster.add(&repo, "First", &commit("first.txt", "1"));
    cluster.until(first, "done");
    assert_eq!(text(&repo.upstream.join("first.txt")), "1\n");
    assert_eq!(git(&repo.upstream, &["status", "--porcelain"]), "");
    assert_eq!(
        git(&repo.upstream, &["config", "--local", "--get-regexp", "remote.origin.url|receive"]).lines().count(),
        1
    );

    let own = repo.upstream.join("theirs.txt");
    fs::write(&own, "mine\n").expect("is written");
    fs::write(repo.upstream.join("untracked.txt"), "mine too\n").expect("is written");
    let second = cluster.add(&repo, "Second", &commit("second.txt", "2"));
    landed_here(&cluster, second);
    let names_it = || explained(&cluster, second)["message"].to_string().contains("changed there: theirs.txt");
    eventually("the file in the way is named", names_it);
    assert_eq!((text(&own).as_str(), repo.upstream.join("second.txt").exists()), ("mine\n", false));

    git(&repo.upstream, &["checkout", "--quiet", "--", "theirs.txt"]);
    cluster.until(second, "done");
    assert_eq!(text(&repo.upstream.join("second.txt")), "2\n");
    assert_eq!(text(&repo.upstream.join("untracked.txt")), "mine too\n");

    // A file that git does not know there is not overwritten either.
    let third = cluster.add(&repo, "Third", &commit("untracked.txt", "theirs"));
    landed_here(&cluster, third);
    eventually("it is named", || explained(&cluster, third)["message"].to_string().contains("untracked.txt"));
    assert_eq!(text(&repo.upstream.join("untracked.txt")), "mine too\n");
    fs::remove_file(repo.upstream.join("untracked.txt")).expect("is removed");
    cluster.until(third, "done");
    assert_eq!(text(&repo.upstream.join("untracked.txt")), "theirs\n");
}

#[test]
fn a_push_that_another_overtook_is_joined_although_nothing_waits() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "there=test -e README"]);
    let away = cluster.path().join("away.git");
    let hold = cluster.hold("work");
    let id = cluster.add(&repo, "Ours", &format!("{}; {}", hold.run, commit("ours.txt", "1")));
    hold.reached();
    // It refuses once, and in the meantime somebody pushes.
    let hook = protect(&repo, "come back later");
    hold.release();
    landed_here(&cluster, id);
    eventually("the refusal is known", || explained(&cluster, id)["message"].to_string().contains("come back later"));
    fs::rename(&repo.upstream, &away).expect("is renamed");
    eventually("it is gone", || explained(&cluster, id)["message"].to_string().contains("cannot be reached"));
    fs::rename(&away, &repo.upstream).expect("is renamed");
    fs::remove_file(hook).expect("is removed");
    repo.push(&[("theirs.txt", "theirs\n")]);
    cluster.landed(&repo, id);
    assert_eq!(repo.file("theirs.txt").as_deref(), Some("theirs\n"));
    assert_eq!(repo.file("ours.txt").as_deref(), Some("1\n"));
    let of_push = cluster.events().iter().filter(|event| event["kind"].to_string().contains("repo_push")).count();
    assert!(of_push < 12, "{of_push} events");
}
