//! A repo's name that is used again for another.

use sprint_tests::{Cluster, commit, git};

#[test]
fn a_name_is_free_again_after_its_repo_was_removed() {
    let cluster = Cluster::start(1);
    let first = cluster.repo("web", &[("old.txt", "old\n")], &["--max-attempts", "1", "--gate", "t=test ! -e bad.txt"]);
    let done = cluster.add(&first, "Done", &commit("a.txt", "a"));
    cluster.landed(&first, done);
    let failed = cluster.add(&first, "Fails", &format!("{}; exit 1", commit("b.txt", "b")));
    cluster.until(failed, "blocked");
    let refused = cluster.add(&first, "Is refused", &commit("bad.txt", "b"));
    cluster.until(refused, "blocked");
    cluster.sprintctl(&["repo", "remove", "web", "--force"]).succeeded();
    // Another upstream, with nothing in common.
    let other = cluster.repo("other", &[("new.txt", "new\n")], &[]);
    cluster.sprintctl(&["repo", "remove", "other"]).succeeded();
    let url = other.upstream.display().to_string();
    cluster.sprintctl(&["repo", "add", "web", &url]).succeeded();
    let web = sprint_tests::Repo { name: "web".to_owned(), ..other };
    let run = format!("test -e new.txt && test ! -e old.txt && {}", commit("c.txt", "c"));
    let id = cluster.add(&web, "Begins anew", &run);
    cluster.landed(&web, id);
    assert_eq!(git(&web.upstream, &["show", "main:c.txt"]), "c");
    let gone = cluster.sprintctl(&["repo", "show", "other"]);
    gone.refused(&["there is no repo \"other\""]);
    cluster.coordinator_command(&["check"], &[]).succeeded();
}
