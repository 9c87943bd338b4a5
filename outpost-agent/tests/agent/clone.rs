//! A worker's workspace is a clone: with the branch that the work is for, the upstream's branches, and its tags.

use sprint_core::assignment::{Assignment, AttemptOutcome, GatedChange, Outcome, TargetBranch};
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId};

use crate::support::Site;

fn target(site: &Site) -> TargetBranch {
    let origin = Some("https://example.org/team/web.git".to_owned());
    TargetBranch { name: "main".to_owned(), tip: site.base.clone(), origin }
}

fn for_main(site: &Site, item: u64, run: &str) -> Assignment {
    Assignment { target: Some(target(site)), ..site.item(item, run) }
}

/// A commit on the first, which no branch has.
fn another(site: &Site, message: &str) -> String {
    site.git(&["commit-tree", "-p", site.base.as_str(), "-m", message, &format!("{}^{{tree}}", site.base)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_finds_the_target_branch_tags_and_the_upstream_and_leaves_none_of_it() {
    let site = Site::start(&[]).await;
    let dev = another(&site, "dev");
    site.git(&["update-ref", "refs/remotes/origin/dev", &dev]);
    site.git(&["update-ref", "refs/remotes/origin/main", &dev]);
    site.git(&["tag", "-a", "-m", "notes", "v1.0", site.base.as_str()]);
    site.git(&["tag", "old", &dev]);
    let look = "set -e; git describe; git log -1 --format=dev=%s origin/dev; git log -1 --format=%H origin/main main; \
                git remote get-url origin; git tag; test -d .git/hooks; git push origin HEAD 2>&1 || true; git fsck --strict; \
                git checkout -q -b from-tag old; git checkout -q -; git branch -q same origin/dev; \
                echo a > a; git add a; git commit -qm a; git pack-refs --all";
    let worker = site.assign(for_main(&site, 1, look)).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    assert!(finished.left.is_empty(), "{finished:?}");
    let log = finished.log_tail.replace('\r', "");
    let base = site.base.as_str();
    for line in ["v1.0", "dev=dev", base, "https://example.org/team/web.git", "old"] {
        assert!(log.lines().any(|found| found == line), "{line} is not in {log}");
    }
    assert!(log.contains("fatal: 'nothing is pushed from here, since Sprint takes the commits of HEAD"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_and_commits_on_the_target_branch_are_saved() {
    let site = Site::start(&[]).await;
    site.git(&["tag", "v1", site.base.as_str()]);
    let run = "set -e; b=$(git branch --show-current); git checkout -q main; echo m > m; git add m; git commit -qm m; \
               git tag -f v1; git checkout -q $b; echo a > a; git add a; git commit -qm a";
    let worker = site.assign(for_main(&site, 2, run)).await;
    let finished = site.finished(worker).await;
    let mut saved = finished.left.saved.clone();
    saved.sort();
    assert_eq!(saved, ["heads/main", "tags/v1"], "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_come_and_go_upstream_come_and_go_here() {
    let site = Site::start(&[]).await;
    site.git(&["tag", "gone", site.base.as_str()]);
    let first = site.assign(for_main(&site, 3, "git tag; false")).await;
    assert!(site.finished(first).await.log_tail.contains("gone"));
    site.git(&["tag", "-d", "gone"]);
    site.git(&["tag", "come", site.base.as_str()]);
    let tip = another(&site, "next");
    site.git(&["update-ref", "refs/heads/main", &tip]);
    let base = CommitId::new(tip).expect("is a commit");
    let target = TargetBranch { tip: base.clone(), ..target(&site) };
    let next = Assignment { base, target: Some(target), ..site.item(4, "git tag; git log -1 --format=%s main; false") };
    let worker = site.assign(next).await;
    let log = site.finished(worker).await.log_tail;
    assert!(log.contains("come") && log.contains("next") && !log.contains("gone"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_knows_what_it_gates() {
    let site = Site::start(&[]).await;
    let candidate = CommitId::new(another(&site, "candidate")).expect("is a commit");
    site.git(&["update-ref", "refs/heads/candidate", candidate.as_str()]);
    let run = "set -e; test $(git rev-parse HEAD) = $SPRINT_CANDIDATE; test $(git rev-parse main) = $SPRINT_BASE; \
               git log --format=%s $SPRINT_BASE..$SPRINT_CANDIDATE; cat \"$SPRINT_CHANGES_FILE\"";
    let change = GatedChange {
        change: ChangeId::new(7),
        item: ItemId::new(3),
        attempt: Attempt::new(2),
        head: candidate.clone(),
        title: "A \"title\"".to_owned(),
    };
    let mut assignment = site.gates(5, &[("test", run)]);
    assignment.base_ref = "refs/heads/candidate".to_owned();
    assignment.base = candidate;
    assignment.target = Some(target(&site));
    assignment.changes = vec![change];
    let worker = site.assign(assignment).await;
    let finished = site.finished(worker).await;
    assert_eq!(finished.exit_code, Some(0), "{finished:?}");
    for text in ["candidate", "\"change\": 7", "\"attempt\": 2", r#""title": "A \"title\"""#] {
        assert!(finished.log_tail.contains(text), "{text} is not in {}", finished.log_tail);
    }
}
