//! A repo and its upstream: done is delivered, and what keeps a landing from its upstream is said.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sprint_failpoint::Point;
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
fn an_upstream_is_read_on_request_although_nothing_runs() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    repo.push(&[("theirs.txt", "theirs\n")]);
    let tip = |args: &[&str]| cluster.json(args)["tip"].as_str().map(ToOwned::to_owned);
    assert_ne!(tip(&["repo", "show", "web"]), Some(repo.tip()));
    assert_eq!(tip(&["repo", "fetch", "web"]), Some(repo.tip()));
    assert_eq!(tip(&["repo", "show", "web"]), Some(repo.tip()));
    cluster.sprintctl(&["repo", "fetch", "wib"]).refused(&["there is no repo"]);
    fs::rename(&repo.upstream, cluster.path().join("away.git")).expect("is renamed");
    cluster.sprintctl(&["repo", "fetch", "web"]).refused(&["no git repository is there"]);
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
    eventually("it is gone", || explained(&cluster, id)["message"].to_string().contains("no git repository is there"));
    fs::rename(&away, &repo.upstream).expect("is renamed");
    fs::remove_file(hook).expect("is removed");
    repo.push(&[("theirs.txt", "theirs\n")]);
    cluster.landed(&repo, id);
    assert_eq!(repo.file("theirs.txt").as_deref(), Some("theirs\n"));
    assert_eq!(repo.file("ours.txt").as_deref(), Some("1\n"));
    let of_push = cluster.events().iter().filter(|event| event["kind"].to_string().contains("repo_push")).count();
    assert!(of_push < 12, "{of_push} events");
}

/// Rewrites the upstream's main so that what `commit` brought is not in it any more.
fn rewrite(repo: &Repo, commit: &str) -> String {
    git(&repo.upstream, &["update-ref", "refs/heads/main", &format!("{commit}^")]);
    repo.push(&[("rewritten.txt", "by force\n")]);
    repo.tip()
}

/// A repo whose upstream was rewritten after an item had landed there, halted for that: the item, where it was and is.
fn rewritten(cluster: &Cluster) -> (Repo, u64, String, String) {
    let repo = cluster.repo("web", &[], &[]);
    let first = cluster.add(&repo, "A secret", &commit("secret.txt", "hunter2"));
    let was = cluster.landed(&repo, first)["commit"].as_str().expect("a commit").to_owned();
    let now = rewrite(&repo, &was);
    let second = cluster.add(&repo, "Second", &commit("second.txt", "2"));
    let is_halted = || cluster.json(&["repo", "show", "web"])["halted"].is_string();
    eventually("the queue is halted", is_halted);
    assert_eq!(cluster.item(second)["stage"], "merging");
    let change = cluster.changes(second)[0]["id"].to_string();
    let reason = cluster.json(&["change", "explain", &change])["reasons"][0].clone();
    assert_eq!((&reason["code"], &reason["severity"]), (&"upstream.rewritten".into(), &"blocked".into()), "{reason}");
    let message = reason["message"].as_str().expect("a message");
    assert!(message.contains(&was[..8]) && message.contains(&now[..8]), "{message}");
    assert_eq!(repo.tip(), now, "nothing is pushed over it");
    let shown = cluster.sprintctl(&["repo", "show", "web"]).succeeded().text();
    assert!(shown.contains("--upstream CHOICE") && !shown.contains("--resume"), "{shown}");
    // Whoever only resumes has decided nothing.
    cluster.sprintctl(&["repo", "set", "web", "--resume"]).succeeded();
    eventually("the queue is halted again", is_halted);
    assert_eq!(repo.tip(), now, "nothing is pushed over it");
    (repo, first, was, now)
}

#[test]
fn a_rewritten_upstream_is_followed_and_what_is_gone_there_is_blocked() {
    let cluster = Cluster::start(1);
    let (repo, first, _, now) = rewritten(&cluster);
    let set = cluster.sprintctl(&["repo", "set", "web", "--upstream", "sideways"]);
    assert_ne!(set.code, 0);
    cluster.sprintctl(&["repo", "set", "web", "--upstream", "follow"]).succeeded();
    // It began on what is gone: its first attempt would bring the secret again.
    let second = first + 1;
    cluster.landed(&repo, second);
    assert_eq!(cluster.changes(second).len(), 2, "it was sent back once");
    assert_eq!(repo.file("secret.txt"), None, "what was removed stays removed");
    assert_eq!(git(&repo.upstream, &["log", "-1", "--format=%H", &now]), now);
    assert_eq!(repo.file("rewritten.txt").as_deref(), Some("by force\n"));
    let gone = cluster.item(first);
    assert_eq!(gone["stage"], "blocked", "{gone}");
    assert!(gone["reason"].as_str().expect("a reason").contains("rewritten at the upstream"), "{gone}");
    assert_eq!(cluster.changes(first)[0]["state"], "failed");

    // There is nothing to choose any more, and the work can come again.
    cluster.sprintctl(&["repo", "set", "web", "--upstream", "follow"]).refused(&["was not rewritten"]);
    cluster.sprintctl(&["land", &first.to_string()]).succeeded();
    cluster.until(first, "done");
    assert_eq!(repo.file("secret.txt").as_deref(), Some("hunter2\n"));
    cluster.coordinator_command(&["check"], &[]).succeeded();
}

#[test]
fn a_choice_that_a_crash_has_interrupted_can_be_made_again() {
    for point in [Point::FollowBefore, Point::FollowAfter] {
        let mut cluster = Cluster::start(1);
        let (repo, first, _, _) = rewritten(&cluster);
        let follow = ["repo", "set", "web", "--upstream", "follow"];
        cluster.kill_coordinator();
        cluster.start_coordinator_to_die(point, 1);
        eventually("the choice reaches the coordinator, which dies", || {
            cluster.sprintctl(&follow);
            !cluster.coordinator_runs()
        });
        cluster.kill_coordinator();
        cluster.start_coordinator();
        assert!(cluster.json(&["repo", "show", "web"])["halted"].is_string(), "{point:?}: it is not done yet");
        cluster.sprintctl(&follow).succeeded();
        cluster.landed(&repo, first + 1);
        assert_eq!(repo.file("secret.txt"), None, "{point:?}: what was removed stays removed");
        assert_eq!(cluster.item(first)["stage"], "blocked", "{point:?}");
        cluster.coordinator_command(&["check"], &[]).succeeded();
    }
}

#[test]
fn a_rewritten_upstream_is_restored_by_force_only_when_a_person_says_so() {
    let cluster = Cluster::start(1);
    let (repo, first, was, _) = rewritten(&cluster);
    let hook = protect(&repo, "no force pushes here");
    cluster.sprintctl(&["repo", "set", "web", "--upstream", "restore"]).refused(&["no force pushes here"]);
    fs::remove_file(hook).expect("is removed");
    cluster.sprintctl(&["repo", "set", "web", "--upstream", "restore"]).succeeded();
    cluster.landed(&repo, first + 1);
    assert_eq!(cluster.item(first)["stage"], "done");
    assert_eq!(repo.file("secret.txt").as_deref(), Some("hunter2\n"));
    assert_eq!(repo.file("rewritten.txt"), None);
    git(&repo.upstream, &["merge-base", "--is-ancestor", &was, "main"]);
    cluster.coordinator_command(&["check"], &[]).succeeded();
}

#[test]
fn an_upstream_that_will_not_work_is_refused_in_its_own_words() {
    let cluster = Cluster::start(0);
    let at = |name: &str| cluster.path().join(name).display().to_string();
    let run = |args: &[&str]| git(cluster.path(), args);
    let commit = ["-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "-m", "one"];
    let made = |name: &str, options: &[&str]| {
        run(&[&["init", "--quiet"], options, &[at(name).as_str()]].concat());
        git(&cluster.path().join(name), &commit);
    };
    made("whole", &[]);
    git(&cluster.path().join("whole"), &commit);
    run(&["clone", "--quiet", "--depth", "1", &format!("file://{}", at("whole")), &at("shallow")]);
    run(&["init", "--quiet", "--bare", &at("unborn")]);
    made("sha256", &["--object-format=sha256"]);
    fs::create_dir(cluster.path().join("plain")).expect("is made");
    for (url, code, said) in [
        (at("shallow"), "upstream.unsupported", "shallow clone"),
        (at("unborn"), "upstream.empty", "has no commit"),
        (at("sha256"), "upstream.unsupported", "sha256"),
        (at("nowhere"), "upstream.unreachable", "no git repository is there"),
        (at("plain"), "upstream.unreachable", "no git repository is there"),
        ("http://127.0.0.1:1/web.git".to_owned(), "upstream.unreachable", "its host does not answer"),
        ("ssh://git@127.0.0.1:1/web.git".to_owned(), "upstream.unreachable", "its host does not answer"),
        ("http://no.such.host.invalid/web.git".to_owned(), "upstream.unreachable", "its host is not known here"),
    ] {
        let answer = cluster.sprintctl(&["repo", "add", "web", &url, "-o", "json"]);
        answer.refused(&[code, said]);
        assert!(!answer.stderr.contains("access rights"), "{url}: {}", answer.stderr);
    }
    assert_eq!(cluster.json(&["repo", "list"]), Value::Array(vec![]), "nothing is left of them");
    made("table", &["--ref-format=reftable"]);
    let works = cluster.sprintctl(&["repo", "add", "web", &at("table")]).succeeded();
    assert!(!works.stderr.contains("has taken no push"), "{}", works.stderr);
}

#[test]
fn an_upstream_that_may_only_be_read_is_said_to_be_so_when_it_is_added() {
    let cluster = Cluster::start(1);
    cluster.repo("web", &[], &[]);
    // A viewer's token fetches, and pushes nowhere.
    let token = cluster.token(&["--kind", "viewer", "--name", "mirror"]);
    let url = format!("http://mirror:{token}@{}/git/web.git", cluster.http());
    let added = cluster.feed(&["repo", "add", "mirror", "-"], url.as_bytes()).succeeded();
    assert!(added.stderr.contains("has taken no push") && added.stderr.contains("denies access"), "{}", added.stderr);
    let shown = cluster.json(&["repo", "show", "mirror"]);
    let why = shown["upstream_trouble"]["why"].as_str().expect("a reason");
    assert!(why.contains("access rights") && !why.contains(&token), "{why}");
}

#[test]
fn what_only_a_push_shows_is_unknown_until_a_probe_or_the_first_landing() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let said = |name: &str| cluster.sprintctl(&["repo", "show", name]).succeeded().stderr;
    assert!(said("web").contains("is not known yet"), "{}", said("web"));
    let id = cluster.add(&repo, "Lands", &commit("a", "a"));
    cluster.landed(&repo, id);
    assert!(!said("web").contains("not known yet"), "{}", said("web"));
    assert_eq!(cluster.json(&["repo", "show", "web"])["pushes"], "taken");

    let url = repo.upstream.display().to_string();
    let branches = || git(&repo.upstream, &["for-each-ref", "--format=%(refname)", "refs/heads"]);
    let probe = |name: &str| cluster.sprintctl(&["repo", "add", name, &url, "--probe"]).succeeded().stderr;
    let added = probe("probed");
    assert!(added.contains("has taken a branch and its removal"), "{added}");
    assert_eq!(branches(), "refs/heads/main", "nothing of the probe stays");
    // A hook that refuses everything; then one that only keeps what is there.
    let hook = protect(&repo, "no pushes on Sundays");
    let added = probe("refused");
    assert!(added.contains("has taken no push") && added.contains("no pushes on Sundays"), "{added}");
    fs::remove_file(hook).expect("is removed");
    git(&repo.upstream, &["config", "receive.denyDeletes", "true"]);
    let added = probe("kept");
    let left = branches();
    let left = left.lines().find_map(|line| line.strip_prefix("refs/heads/sprint-probe-")).expect("it stays");
    assert!(added.contains(&format!("sprint-probe-{left} could not be removed")), "{added}");
}

#[test]
fn a_partial_clone_as_the_upstream_is_named_so() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[("a", "1\n")], &[]);
    repo.push(&[("a", "2\n")]);
    git(&repo.upstream, &["config", "uploadpack.allowFilter", "true"]);
    let from = format!("file://{}", repo.upstream.display());
    git(cluster.path(), &["clone", "-q", "--bare", "--filter=blob:none", &from, "part.git"]);
    let part = cluster.path().join("part.git");
    let add = || cluster.sprintctl(&["repo", "add", "part", &part.display().to_string()]);
    add().refused(&["it is a partial clone, which lacks files", "git fetch --refetch --no-filter"]);
    git(&part, &["fetch", "-q", "--refetch", "--no-filter", "origin", "+refs/heads/*:refs/heads/*"]);
    add().succeeded();
}
