//! Repositories are kept small, and nothing that anybody may want goes before its time.

use sprint_tests::{Cluster, commit, eventually, git};

fn refs(cluster: &Cluster, pattern: &str) -> String {
    let bare = cluster.coordinator_data().join("repos/web.git");
    git(&bare, &["for-each-ref", "--format=%(refname)", pattern])
}

#[test]
fn the_work_of_items_that_are_over_goes_at_its_time_and_that_of_others_stays() {
    let mut cluster = Cluster::start_with(1, &["--keep-work", "3s"]);
    let repo = cluster.repo("web", &[], &[]);
    cluster.sprintctl(&["repo", "set", "web", "--max-attempts", "1"]).succeeded();
    let blocked = cluster.add(&repo, "Fails", &format!("{}; git branch topic; echo b > b; exit 1", commit("a", "a")));
    cluster.until(blocked, "blocked");
    let done = cluster.add(&repo, "Lands", &format!("{}; echo left > left; git stash -qu", commit("c", "c")));
    cluster.landed(&repo, done);
    assert!(refs(&cluster, "refs/sprint/work").contains(&format!("work/{done}/1")), "it is kept for a while");
    let of = |cluster: &Cluster, item: u64| {
        let all = refs(cluster, "refs/sprint");
        all.lines().filter(|name| name.contains(&format!("/{item}/1"))).count()
    };
    let kept = of(&cluster, blocked);
    assert!(kept >= 2, "{}", refs(&cluster, "refs/sprint"));
    eventually("what the done item left is gone", || of(&cluster, done) == 0);
    assert_eq!(of(&cluster, blocked), kept);
    let restore = cluster.sprintctl(&["item", "restore", &done.to_string(), "--dir", "x"]);
    restore.refused(&["nothing is kept of item", "keeps work for 3s after an item is done or cancelled (--keep-work)"]);
    let shown = cluster.sprintctl(&["item", "show", &done.to_string()]).succeeded();
    assert!(shown.text().contains("nothing: its time ended at"), "{}", shown.text());
    // Also after a restart; and once the item is over, what it left goes, too.
    cluster.kill_coordinator();
    cluster.start_coordinator();
    assert_eq!(of(&cluster, blocked), kept);
    cluster.sprintctl(&["item", "cancel", &blocked.to_string()]).succeeded();
    eventually("what the cancelled item left is gone", || of(&cluster, blocked) == 0);
    assert_eq!(refs(&cluster, "refs/heads"), "refs/heads/main");
    assert_eq!(git(&repo.upstream, &["ls-tree", "--name-only", "main", "c"]), "c");
}
