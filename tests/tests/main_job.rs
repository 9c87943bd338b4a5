//! The main job: work goes in, verified commits come out.

use sprint_tests::{Cluster, commit, eventually, git};

#[test]
fn an_item_lands_on_main_and_on_the_upstream() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &[]);
    let before = repo.tip();
    let id = cluster.add(&repo, "Say hello", &commit("hello.txt", "hello"));
    let item = cluster.landed(&repo, id);
    assert_eq!(repo.file("hello.txt").as_deref(), Some("hello\n"));
    assert_eq!(item["commit"], repo.tip());
    let own = cluster.git(cluster.path(), &["ls-remote", &cluster.git_url("web"), "refs/heads/main"]).stdout;
    let own = String::from_utf8_lossy(&own);
    assert!(own.starts_with(&repo.tip()), "{own}");
    let parents = git(&repo.upstream, &["log", "-1", "--format=%P", "main"]);
    assert!(parents.starts_with(&before), "the landing stands on the old main: {parents}");
    let message = git(&repo.upstream, &["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with(&format!("Land item {id}: Say hello\n")), "{message}");
}

#[test]
fn an_item_waits_for_what_it_needs() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("first");
    let first = cluster.add(&repo, "First", &format!("{}; {}", hold.run, commit("first.txt", "1")));
    // It can only do its work on a main that has the other's.
    let run = format!("test -e first.txt && {}", commit("second.txt", "2"));
    let second = cluster.add_with(&repo, "Second", &run, &["--needs", &first.to_string()]);
    hold.reached();
    assert_eq!(cluster.item(second)["stage"], "ready");
    let explained = cluster.sprintctl(&["item", "explain", &second.to_string()]).succeeded().text();
    assert!(explained.contains(&first.to_string()), "{explained}");
    hold.release();
    cluster.landed(&repo, second);
    assert_eq!(cluster.workers(second).len(), 1, "it was tried once only, when its need was met");
    assert_eq!(cluster.item(first)["stage"], "done");
}

#[test]
fn an_item_that_fails_three_times_is_blocked_with_the_reason() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let notes = cluster.shared().join("notes");
    std::fs::create_dir(&notes).expect("is made");
    let run = format!(
        "cp \"$SPRINT_CONTEXT_DIR/feedback.md\" '{}/'$SPRINT_ATTEMPT 2>/dev/null; echo the lexer is broken; exit 3",
        notes.display()
    );
    let id = cluster.add(&repo, "Never works", &run);
    let item = cluster.until(id, "blocked");
    assert!(item["reason"].as_str().expect("a reason").contains("exited with code 3"), "{item}");
    assert_eq!((&item["attempt"], &item["failures"]), (&3.into(), &3.into()));
    let workers = cluster.workers(id);
    assert_eq!(workers.len(), 3);
    for worker in &workers {
        assert_eq!((&worker["state"], &worker["exit_code"]), (&"failed".into(), &3.into()), "{worker}");
    }
    assert!(!notes.join("1").exists(), "the first attempt has nothing to learn from");
    for attempt in ["2", "3"] {
        let feedback = std::fs::read_to_string(notes.join(attempt)).expect("feedback");
        assert!(feedback.contains("exited with code 3") && feedback.contains("the lexer is broken"), "{feedback}");
    }
    assert_eq!(repo.landings(id), 0);
}

#[test]
fn a_blocked_item_can_be_tried_again() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let id = cluster.add(&repo, "Wrong at first", "exit 1");
    cluster.until(id, "blocked");
    cluster.sprintctl(&["item", "edit", &id.to_string(), "--run", &commit("a.txt", "a")]).succeeded();
    cluster.sprintctl(&["item", "retry", &id.to_string()]).succeeded();
    cluster.landed(&repo, id);
}

#[test]
fn forgotten_commits_are_sent_back_once() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let run = "if test -e a.txt; then cp \"$SPRINT_FEEDBACK_FILE\" why.md; git add -A; git commit -qm a; else echo a > a.txt; fi";
    let id = cluster.add(&repo, "Forgets to commit", run);
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1, "being sent back is not a new attempt");
    let why = repo.file("why.md").expect("it was told why");
    assert!(why.contains("not committed: a.txt"), "{why}");
    assert_eq!(cluster.count(id, "worker_sent_back"), 1);
}

#[test]
fn a_worker_that_leaves_nothing_has_failed() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let id = cluster.add(&repo, "Does nothing", "true");
    let item = cluster.until(id, "blocked");
    assert!(item["reason"].as_str().expect("a reason").contains("left nothing"), "{item}");
}

#[test]
fn uncommitted_work_of_a_failed_attempt_is_kept() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let id = cluster.add(&repo, "Half done", "echo half > half.txt; exit 1");
    cluster.until(id, "blocked");
    let bare = cluster.coordinator_data().join("repos/web.git");
    assert_eq!(git(&bare, &["show", &format!("refs/sprint/wip/{id}/1:half.txt")]), "half");
}

#[test]
fn an_item_that_conflicts_goes_back_and_lands_on_its_second_attempt() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[("menu.txt", "soup\n")], &[]);
    let hold = cluster.hold("late");
    let change = "sed -i \"1s/$/ $SPRINT_TITLE/\" menu.txt; git commit -qam \"$SPRINT_TITLE\"";
    let keep = format!("cp \"$SPRINT_FEEDBACK_FILE\" '{}' 2>/dev/null", cluster.shared().join("told.md").display());
    let late = cluster.add(&repo, "late", &format!("{}; {keep}; {change}", hold.run));
    hold.reached();
    let early = cluster.add(&repo, "early", change);
    cluster.landed(&repo, early);
    hold.release();
    let item = cluster.landed(&repo, late);
    assert_eq!(item["attempt"], 2);
    assert_eq!(repo.file("menu.txt").as_deref(), Some("soup early late\n"));
    let changes = cluster.changes(late);
    assert_eq!(changes.iter().map(|change| &change["state"]).collect::<Vec<_>>(), ["conflicted", "landed"]);
    let told = std::fs::read_to_string(cluster.shared().join("told.md")).expect("it was told");
    assert!(told.contains("conflicts with main in menu.txt"), "{told}");
}

#[test]
fn a_feature_is_done_when_its_children_are() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let feature = cluster.json(&["item", "add", "--repo", "web", "--kind", "feature", "All of it"])["id"].to_string();
    let hold = cluster.hold("second");
    let first = cluster.add_with(&repo, "One", &commit("1.txt", "1"), &["--parent", &feature]);
    let run = format!("{}; {}", hold.run, commit("2.txt", "2"));
    let second = cluster.add_with(&repo, "Two", &run, &["--parent", &feature]);
    cluster.landed(&repo, first);
    hold.reached();
    let feature = feature.parse().expect("a number");
    assert_ne!(cluster.item(feature)["stage"], "done");
    hold.release();
    cluster.landed(&repo, second);
    cluster.until(feature, "done");
    assert_eq!(cluster.workers(feature).len(), 0, "no worker is on the feature itself");
}

#[test]
fn work_of_others_on_the_upstream_is_taken_over() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    repo.push(&[("theirs.txt", "theirs\n")]);
    let id = cluster.add(&repo, "Ours", &commit("ours.txt", "ours"));
    cluster.landed(&repo, id);
    assert_eq!(repo.file("theirs.txt").as_deref(), Some("theirs\n"));
    assert_eq!(repo.file("ours.txt").as_deref(), Some("ours\n"));
}

#[test]
fn many_items_on_two_outposts_land_once_each() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--gate", "count=test -e README"]);
    let ids = (0..8).map(|n| cluster.add(&repo, &format!("Item {n}"), &commit(&format!("{n}.txt"), "x")));
    let ids = ids.collect::<Vec<_>>();
    for id in &ids {
        cluster.landed(&repo, *id);
    }
    eventually("all is on the upstream", || (0..8).all(|n| repo.file(&format!("{n}.txt")).is_some()));
    let outposts = ids.iter().map(|id| cluster.workers(*id)[0]["outpost"].to_string());
    assert_eq!(outposts.collect::<std::collections::BTreeSet<_>>().len(), 2, "both outposts had work");
}
