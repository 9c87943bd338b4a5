//! What a worker leaves besides the commits of its branch: it is listed, named where it does not land, and comes back.

use std::fs;
use std::path::Path;

use sprint_tests::{Cluster, commit, git};

/// Leaves a branch, a tag, two stashes, a nested repository with a file that is not committed there, and changes that
/// are not committed; with a commit on its own branch.
const LEAVES: &str = "set -e; [ -z \"$SPRINT_FEEDBACK_FILE\" ] || exit 0; b=$(git branch --show-current); \
    printf 'one\\r\\ntwo\\n' >> README; git stash -q; echo s2 > s2; git stash -qu; \
    git checkout -qb topic/deep; echo t > t; git add t; git commit -qm t; git tag -a v1 -m notes; git checkout -q $b; \
    git init -q -b main lib; printf 'f\\r\\n' > lib/f; git -C lib add f; git -C lib -c user.name=w -c user.email=w@w commit -qm f; echo half > lib/half; \
    echo a > a.txt; git add a.txt; git commit -qm a; printf 'left\\r\\nout\\n' > forgotten.txt";

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

#[test]
fn what_an_attempt_left_is_listed_and_comes_back_byte_for_byte() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[("README", "hello\n")], &[]);
    let id = cluster.add(&repo, "Leaves things", LEAVES);
    cluster.landed(&repo, id);
    let item = id.to_string();
    let shown = cluster.sprintctl(&["item", "show", &item]).succeeded().text();
    for line in
        ["left heads/topic/deep:", "left tags/v1:", "left stash/1:", "left nested/lib/heads/main:", "wip:", "work:"]
    {
        assert!(shown.contains(&format!("attempt 1, {line}")), "{line} is missing in\n{shown}");
    }
    // What did not land is named: by the event, and by the change.
    let events = cluster.events();
    let event = events.iter().find(|event| event["kind"] == "work_left").expect("the event");
    assert_eq!((&event["data"]["left"]["file_count"], event["item"].as_u64()), (&2.into(), Some(id)));
    let change = cluster.changes(id)[0]["id"].to_string();
    let explained = cluster.sprintctl(&["change", "explain", &change]).succeeded().text();
    assert!(explained.contains("did not commit: forgotten.txt, lib/"), "{explained}");
    let details = cluster.sprintctl(&["change", "show", &change]).succeeded().text();
    assert!(details.contains("forgotten.txt, lib/"), "{details}");

    let dir = cluster.path().join("restored it's");
    let text = |path: &str| read(dir.join(path));
    cluster.sprintctl(&["item", "restore", &item, "--dir", &dir.display().to_string()]).succeeded();
    assert_eq!((text("a.txt"), text("forgotten.txt")), ("a\n".to_owned(), "left\r\nout\n".to_owned()));
    let branch = format!("sprint/{id}/1");
    assert_eq!(git(&dir, &["branch", "--show-current"]), branch);
    assert_eq!(git(&dir, &["status", "--porcelain"]), "?? forgotten.txt\n?? lib/");
    assert_eq!(git(&dir, &["show", "topic/deep:t"]), "t");
    assert!(git(&dir, &["cat-file", "tag", "v1"]).ends_with("notes"));
    assert_eq!(git(&dir, &["stash", "list"]).lines().count(), 2);
    assert_eq!(git(&dir, &["stash", "show", "-p", "stash@{1}"]).matches("+one\r").count(), 1);
    git(&dir, &["stash", "pop", "-q"]);
    assert_eq!(text("s2"), "s2\n");
    let lib = dir.join("lib");
    assert_eq!((text("lib/f"), text("lib/half")), ("f\r\n".to_owned(), "half\n".to_owned()));
    assert_eq!(git(&lib, &["status", "--porcelain"]), "?? half");
    assert_eq!(git(&lib, &["log", "--format=%D %s"]), "HEAD -> main f");

    // Into a repository that is there, as a branch; with a token instead of a certificate.
    let token = cluster.token(&["--kind", "viewer", "--name", "ann"]);
    let clone = cluster.path().join("clone");
    git(cluster.path(), &["clone", "-q", &repo.upstream.display().to_string(), "clone"]);
    let restore = |args: &[&str]| {
        let address = ["--coordinator", cluster.address(), "item", "restore", &item];
        let variables = [("SPRINT_TOKEN", token.as_str())];
        cluster.sprintctl_in(&clone, &variables, &[&address[..], args].concat())
    };
    restore(&["--to", "mine", "--what", "heads/topic/deep"]).succeeded();
    assert_eq!(git(&clone, &["show", "mine:t"]), "t");
    restore(&["--to", "half"]).succeeded();
    assert_eq!(git(&clone, &["show", "half:forgotten.txt"]), "left\r\nout");
    restore(&["--to", "mine"]).refused(&["the branch \"mine\" is there already"]);
    restore(&["--to", "a..b"]).refused(&["no name for a branch"]);
    restore(&["--to", "x", "--what", "heads/none"]).refused(&["no \"heads/none\" is kept of attempt 1"]);
    restore(&["--attempt", "7"]).refused(&["nothing is kept of attempt 7"]);
    restore(&["--dir", &dir.display().to_string()]).refused(&["is there already"]);
    restore(&[]).succeeded();
    assert_eq!(read(clone.join(format!("item-{id}-1/a.txt"))), "a\n");
}

#[test]
fn work_that_failed_comes_back_and_what_is_hostile_in_it_stays_within() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let nested = "git init -q -b main";
    // A link where the nested repository was, by what was not committed.
    let run = format!(
        "mkdir -p link; {nested} link/lib; echo x > link/lib/x; {nested} fine; echo y > fine/y; {}; exit 3",
        commit("a.txt", "a")
    );
    let id = cluster.add(&repo, "Fails", &run);
    cluster.until(id, "blocked");
    let bare = cluster.coordinator_data().join("repos/web.git");
    let outside = cluster.path().join("outside");
    fs::create_dir(&outside).expect("is made");
    // As an outpost could send it: the place of the repository is a link that leads out.
    let blob =
        sprint_tests::git_fed(&bare, &["hash-object", "-w", "--stdin"], outside.display().to_string().as_bytes());
    let tree = sprint_tests::git_fed(&bare, &["mktree"], format!("120000 blob {blob}\tlink\n").as_bytes());
    let parent = git(&bare, &["rev-parse", &format!("refs/sprint/work/{id}/1")]);
    let identity = [
        ("GIT_AUTHOR_NAME", "x"),
        ("GIT_AUTHOR_EMAIL", "x@x"),
        ("GIT_COMMITTER_NAME", "x"),
        ("GIT_COMMITTER_EMAIL", "x@x"),
    ];
    let message = "Uncommitted work, as the worker left it";
    let output = sprint_tests::git_as(&bare, &identity, &["commit-tree", &tree, "-p", &parent, "-m", message]);
    let wip = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    git(&bare, &["update-ref", &format!("refs/sprint/wip/{id}/1"), &wip]);
    let dir = cluster.path().join("restored");
    let restore = ["item", "restore", &id.to_string(), "--dir", &dir.display().to_string()];
    cluster.sprintctl(&restore).refused(&["link/lib leads out of the directory"]);
    assert!(!dir.exists() && fs::read_dir(&outside).expect("is there").next().is_none());
    git(&bare, &["update-ref", "-d", &format!("refs/sprint/wip/{id}/1")]);
    cluster.sprintctl(&restore).succeeded();
    assert_eq!((read(dir.join("link/lib/x")), read(dir.join("fine/y"))), ("x\n".to_owned(), "y\n".to_owned()));
    assert_eq!(git(&dir.join("fine"), &["status", "--porcelain"]), "?? y");
}

#[test]
fn nothing_to_do_is_a_result_that_a_person_accepts_or_the_repo() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let says = "sprintctl item resolve --nothing-to-do 'it is in README already'";
    let id = cluster.add(&repo, "Is there", says);
    let needs = cluster.add_with(&repo, "After it", &commit("a.txt", "a"), &["--needs", &id.to_string()]);
    let item = cluster.until(id, "blocked");
    assert_eq!(item["reason"], "nothing to do, says attempt 1: it is in README already");
    assert_eq!(cluster.item(needs)["stage"], "ready", "what needs it does not start");
    let explained = cluster.sprintctl(&["item", "explain", &id.to_string()]).succeeded().text();
    for act in [format!("sprintctl item resolve {id}"), format!("sprintctl item retry {id}")] {
        assert!(explained.contains(&act), "{act} is missing in\n{explained}");
    }
    cluster.sprintctl(&["item", "resolve", &id.to_string(), "--reason", "so it is"]).succeeded();
    assert_eq!(cluster.item(id)["stage"], "done");
    cluster.landed(&repo, needs);
    cluster.sprintctl(&["item", "resolve", &id.to_string()]).refused(&["done"]);
    assert_eq!(cluster.count(id, "item_resolved"), 1);
    assert_eq!(repo.landings(id), 0);

    cluster.sprintctl(&["repo", "set", "web", "--nothing-to-do", "done"]).succeeded();
    let plain = cluster.add(&repo, "Is there, too", says);
    let strict = cluster.add_with(&repo, "Has a criterion", says, &["--accept", "a test covers it"]);
    cluster.until(plain, "done");
    cluster.until(strict, "blocked");
    let again = cluster.add(&repo, "Says nothing", "true");
    let item = cluster.until(again, "blocked");
    assert!(item["reason"].as_str().is_some_and(|why| why.contains("left nothing")), "{item}");
}
