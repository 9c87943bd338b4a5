//! What a worker leaves besides the commits that it hands over: nothing of it is lost, and nothing lands half.

use std::collections::BTreeMap;

use sprint_core::assignment::{AttemptOutcome, Outcome};

use crate::support::{Finished, Site, names};

fn committed(finished: &Finished) -> bool {
    matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. }))
}

fn reason(finished: &Finished) -> &str {
    let Outcome::Attempt(AttemptOutcome::Failed { reason }) = &finished.outcome else { panic!("{finished:?}") };
    reason
}

/// The labels below an attempt's `left`, each with its object.
fn left(site: &Site, item: u64) -> BTreeMap<String, String> {
    let prefix = format!("refs/sprint/left/{item}/1/");
    let listed = site.git(&["for-each-ref", "--format=%(objectname) %(refname)", &prefix]);
    let entries = listed.lines().filter_map(|line| line.split_once(' '));
    entries.map(|(object, name)| (name.trim_start_matches(&prefix).to_owned(), object.to_owned())).collect()
}

const COMMIT: &str = "echo a > a; git add a; git commit -qm a";

#[tokio::test(flavor = "multi_thread")]
async fn every_ref_stash_and_worktree_is_saved() {
    let site = Site::start(&[]).await;
    let run = format!(
        "set -e; b=$(git branch --show-current); \
         echo s1 >> README; git stash -q; echo s2 > s2; git stash -qu; \
         git checkout -qb topic/deep; echo t > t; git add t; git commit -qm t; git tag -a v1 -m notes; git tag light; \
         git notes add -m note HEAD; \
         git checkout -q $b; git worktree add -q --detach \"$SPRINT_ARTIFACTS/wt\" HEAD; \
         (cd \"$SPRINT_ARTIFACTS/wt\"; echo w > w; git add w; git commit -qm w); {COMMIT}; git branch same; git pack-refs --all"
    );
    let worker = site.assign(site.item(1, &run)).await;
    let finished = site.finished(worker).await;
    assert!(committed(&finished), "{finished:?}");
    let found = left(&site, 101);
    let labels: Vec<_> = found.keys().map(String::as_str).collect();
    let expected =
        ["heads/topic/deep", "refs/notes/commits", "stash/0", "stash/1", "tags/light", "tags/v1", "worktrees/wt"];
    assert_eq!(labels, expected, "{finished:?}");
    let mut told = finished.left.saved.clone();
    told.sort();
    assert_eq!((told, &finished.left.unsaved), (expected.map(str::to_owned).to_vec(), &None));
    let show = |label: &str, path: &str| site.git(&["show", &format!("{}:{path}", found[label])]);
    assert_eq!(show("heads/topic/deep", "t"), "t");
    assert_eq!(show("stash/1", "README"), "hello\ns1");
    // What was not tracked is the third parent of a stash.
    assert_eq!(site.git(&["show", &format!("{}^3:s2", found["stash/0"])]), "s2");
    assert_eq!(show("worktrees/wt", "w"), "w");
    assert!(site.git(&["cat-file", "tag", &found["tags/v1"]]).ends_with("notes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_more_leaves_nothing_besides() {
    let site = Site::start(&[]).await;
    let worker =
        site.assign(site.item(2, &format!("{COMMIT}; git branch same; git checkout -qb mine; git gc -q"))).await;
    let finished = site.finished(worker).await;
    assert!(committed(&finished) && finished.left.is_empty(), "{finished:?}");
    assert!(left(&site, 102).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_on_another_branch_are_told_once_with_its_name() {
    let site = Site::start(&[]).await;
    let astray = format!("b=$(git branch --show-current); git checkout -qb topic; {COMMIT}; git checkout -q $b");
    let mends = "cat \"$SPRINT_FEEDBACK_FILE\"; git merge -q topic";
    let run = format!("if [ -n \"$SPRINT_FEEDBACK_FILE\" ]; then {mends}; else {astray}; fi");
    let mended = site.assign(site.item(3, &run)).await;
    let stubborn = format!("[ -n \"$SPRINT_FEEDBACK_FILE\" ] || {{ {astray}; }}");
    let stubborn = site.assign(site.item(4, &stubborn)).await;
    let finished = site.finished(mended).await;
    assert!(committed(&finished), "{finished:?}");
    assert!(finished.log_tail.contains("its commits are on topic, which is not checked out"), "{finished:?}");
    let finished = site.finished(stubborn).await;
    assert_eq!(reason(&finished), "left its commits on topic, which was not checked out, twice");
    assert_eq!(site.git(&["show", &format!("{}:a", left(&site, 104)["heads/topic"])]), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_files_are_told_once_and_named_when_the_rest_lands() {
    let site = Site::start(&[]).await;
    // The second round fails, since there is nothing to commit: what was done before counts.
    let worker =
        site.assign(site.item(5, &format!("{COMMIT} || exit 1; echo helper > helper.c; echo more >> README"))).await;
    let finished = site.finished(worker).await;
    assert!(committed(&finished), "{finished:?}");
    assert_eq!((finished.left.file_count, finished.left.files.join(" ")), (2, "README helper.c".to_owned()));
    let bodies = site.coordinator.with(|state| state.bodies(worker));
    assert_eq!(names(&bodies).iter().filter(|name| **name == "sent_back").count(), 1);
    assert_eq!(site.git(&["show", "refs/sprint/wip/105/1:helper.c"]), "helper");
    assert_eq!(site.git(&["show", "refs/sprint/work/105/1:a"]), "a");
    let adds = "if [ -n \"$SPRINT_FEEDBACK_FILE\" ]; then git add -A; git commit -qm more; else echo b > b; git add b; git commit -qm b; echo c > c; fi";
    let worker = site.assign(site.item(6, adds)).await;
    let finished = site.finished(worker).await;
    assert!(committed(&finished) && finished.left.is_empty(), "{finished:?}");
    assert_eq!(site.git(&["show", "refs/sprint/work/106/1:c"]), "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_within_the_workspace_are_saved_with_their_files() {
    let site = Site::start(&[]).await;
    let run = "set -e; git config --global user.name n; git config --global user.email n@x; \
        new() { mkdir -p \"$1\"; git init -q -b main $2 \"$1\"; echo \"$1\" > \"$1/f\"; git -C \"$1\" add f; git -C \"$1\" -c user.name=w -c user.email=w@w commit -qm f; }; \
        echo ignored/ > .gitignore; git add .gitignore; git commit -qm ignore; \
        new lib; echo half > lib/half; new new/deep --ref-format=reftable; git -C new/deep checkout -q --detach; \
        echo d > new/deep/d; git -C new/deep add d; git -C new/deep -c user.name=w -c user.email=w@w commit -qm d; new ignored/x; \
        git clone -q lib cloned; mkdir unborn; git init -q unborn; echo u > unborn/u; new 'odd name.lock'";
    let run = format!("[ -n \"$SPRINT_FEEDBACK_FILE\" ] && exit 0; {run}");
    let worker = site.assign(site.item(7, &run)).await;
    let finished = site.finished(worker).await;
    assert!(committed(&finished), "{finished:?}");
    let found = left(&site, 107);
    let labels: Vec<_> = found.keys().map(String::as_str).collect();
    let expected = [
        "nested/lib/heads/main",
        "nested/lib/wip",
        "nested/new%2Fdeep/HEAD",
        "nested/new%2Fdeep/heads/main",
        "nested/odd%20name%2Elock/heads/main",
        "nested/unborn/wip",
    ];
    assert_eq!(labels, expected, "{finished:?}");
    assert_eq!(finished.left.unsaved, None);
    let show = |label: &str, path: &str| site.git(&["show", &format!("{}:{path}", found[label])]);
    assert_eq!(show("nested/lib/wip", "half"), "half");
    assert_eq!(show("nested/new%2Fdeep/HEAD", "d"), "d");
    assert_eq!(show("nested/unborn/wip", "u"), "u");
    assert_eq!(show("nested/odd%20name%2Elock/heads/main", "f"), "odd name.lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_an_entry_in_gitmodules_does_not_land() {
    let site = Site::start(&[]).await;
    let makes = "git init -q -b main lib; echo f > lib/f; git -C lib add f; git -C lib -c user.name=w -c user.email=w@w commit -qm f; git add lib 2>/dev/null; git commit -qm lib";
    let mends =
        "cat \"$SPRINT_FEEDBACK_FILE\"; git rm -q --cached lib; rm -rf lib/.git; git add lib; git commit -qm files";
    let mended = site
        .assign(site.item(8, &format!("if [ -n \"$SPRINT_FEEDBACK_FILE\" ]; then {mends}; else {makes}; fi")))
        .await;
    let stubborn = site.assign(site.item(9, &format!("[ -n \"$SPRINT_FEEDBACK_FILE\" ] || {{ {makes}; }}"))).await;
    let finished = site.finished(mended).await;
    assert!(committed(&finished), "{finished:?}");
    assert!(finished.log_tail.contains("in its commits lib is a repository of its own"), "{finished:?}");
    assert_eq!(site.git(&["show", "refs/sprint/work/108/1:lib/f"]), "f");
    let finished = site.finished(stubborn).await;
    assert!(reason(&finished).contains("in its commits lib is a repository of its own"), "{finished:?}");
    assert_eq!(site.git(&["show", &format!("{}:f", left(&site, 109)["nested/lib/heads/main"])]), "f");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_broken_stays_on_the_outpost_and_is_named() {
    let site = Site::start(&["--max-left", "1MiB"]).await;
    let branch =
        |name: &str, fill: &str| format!("git checkout -qb {name} $b; {fill}; git add {name}; git commit -qm {name}");
    let run = format!(
        "b=$(git branch --show-current); {}; {}; {}; git checkout -q $b; rm .git/objects/$(git rev-parse broken^{{tree}} | sed 's,..,&/,'); {COMMIT}",
        branch("large", "head -c 3000000 /dev/urandom > large"),
        branch("small", "echo s > small"),
        branch("broken", "echo b > broken"),
    );
    let worker = site.assign(site.item(10, &run)).await;
    let finished = site.finished(worker).await;
    assert!(committed(&finished), "{finished:?}");
    assert_eq!(finished.left.saved, ["heads/small"], "{finished:?}");
    let unsaved = finished.left.unsaved.expect("something is not saved");
    assert!(unsaved.contains("heads/large (all together would be more than 1048576 bytes)"), "{unsaved}");
    assert!(unsaved.contains("heads/broken (") && unsaved.contains("/kept/110-1-10"), "{unsaved}");
    site.forgotten(worker).await;
    let kept = site.data().join("kept/110-1-10/workspace");
    let large = std::process::Command::new("git").arg("-C").arg(&kept).args(["cat-file", "-s", "large:large"]).output();
    assert_eq!(String::from_utf8_lossy(&large.expect("git runs").stdout).trim(), "3000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_that_git_itself_calls_changed_are_nobodys() {
    let site = Site::start(&[]).await;
    // A blob with CR and LF, which the attributes want without: from the first look on git says it is modified.
    for (path, text) in [("odd.txt", "one\r\ntwo\r\n"), (".gitattributes", "*.txt text\n"), ("fine.txt", "one\n")] {
        let file = site.path().join("content");
        std::fs::write(&file, text).expect("is written");
        let blob = site.git(&["hash-object", "-w", "--no-filters", &file.display().to_string()]);
        site.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")]);
    }
    let tree = site.git(&["write-tree"]);
    let base = site.git(&["commit-tree", "-p", "refs/heads/main", "-m", "odd", &tree]);
    site.git(&["update-ref", "refs/heads/main", &base]);
    let base: sprint_core::ids::CommitId = base.parse().expect("a commit");
    let on =
        |worker: u64, run: &str| sprint_core::assignment::Assignment { base: base.clone(), ..site.item(worker, run) };
    let run = "touch odd.txt; test -n \"$(git status --porcelain odd.txt)\" || exit 9; echo a > a; git add a; git commit -qm a";
    let finished = {
        let worker = site.assign(on(1, run)).await;
        site.finished(worker).await
    };
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    assert!(finished.left.is_empty(), "{finished:?}");
    assert_eq!(finished.wip, None);
    // What a worker has changed in such a file is its work.
    let run = "echo three >> odd.txt; echo a > a; git add a; git commit -qm a";
    let worker = site.assign(on(2, run)).await;
    let finished = site.finished(worker).await;
    assert_eq!(finished.left.files, ["odd.txt"], "{finished:?}");
    assert!(finished.wip.is_some(), "{finished:?}");
}
