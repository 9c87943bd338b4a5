//! The upstream's branch gets another name.

use sprint_tests::{Cluster, Repo, commit, git};

fn set_branch(cluster: &Cluster, name: &str) -> sprint_tests::Answer {
    cluster.sprintctl(&["repo", "set", "web", "--branch", name])
}

fn on(repo: &Repo, branch: &str) -> String {
    git(&repo.upstream, &["ls-tree", "--name-only", branch])
}

#[test]
fn work_goes_on_upon_the_branchs_new_name() {
    let mut cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &[]);
    let first = cluster.add(&repo, "Before", &commit("before", "1"));
    cluster.landed(&repo, first);
    // One that begins on the old name and ends on the new one.
    let (begun, go_on) = (cluster.shared().join("begun"), cluster.shared().join("go-on"));
    let run = format!(
        "touch '{}'; while [ ! -e '{}' ]; do sleep 0.05; done; {}",
        begun.display(),
        go_on.display(),
        commit("during", "2")
    );
    let during = cluster.add(&repo, "During", &run);
    sprint_tests::eventually("it has begun", || begun.exists());
    set_branch(&cluster, "trunk").refused(&["the upstream has no branch \"trunk\""]);
    git(&repo.upstream, &["branch", "-m", "main", "trunk"]);
    git(&repo.upstream, &["branch", "old", "trunk^"]);
    set_branch(&cluster, "old").refused(&["lacks", "merge that there first"]);
    set_branch(&cluster, "a..b").refused(&["the upstream has no branch"]);
    let shown = set_branch(&cluster, "trunk").succeeded().text();
    assert!(shown.contains("branch         trunk"), "{shown}");
    set_branch(&cluster, "trunk").succeeded();
    std::fs::write(&go_on, "").expect("is written");
    cluster.until(during, "done");
    cluster.kill_coordinator();
    cluster.start_coordinator();
    let run = format!("test \"$(git rev-parse trunk)\" = \"$SPRINT_BASE\" && {}", commit("after", "3"));
    let after = cluster.add(&repo, "After", &run);
    cluster.until(after, "done");
    assert_eq!(on(&repo, "trunk"), "README\nafter\nbefore\nduring");
    let bare = cluster.coordinator_data().join("repos/web.git");
    assert_eq!(git(&bare, &["for-each-ref", "--format=%(refname)", "refs/heads"]), "refs/heads/trunk");
    assert_eq!(git(&bare, &["symbolic-ref", "HEAD"]), "refs/heads/trunk");
}
