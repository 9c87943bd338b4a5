//! A workspace is made ready as its recipe says: by a setup, with files from the host and directories that are kept.

use std::fs;

use sprint_core::assignment::{Assignment, AttemptOutcome, GateRunOutcome, Outcome, TargetBranch};
use sprint_core::ids::{Attempt, CommitId};
use sprint_core::job::EarlierWork;
use sprint_core::recipe::{Cache, Recipe};

use crate::support::{Finished, Site, git};

/// A commit with the files given, at the tip of main.
fn commit(site: &Site, files: &[(&str, &str)]) -> CommitId {
    let tree = site.path().join("tree");
    for (path, text) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().expect("is within")).expect("is made");
        fs::write(path, text).expect("is written");
    }
    fs::write(tree.join("README"), "hello\n").expect("is written");
    let work_tree = format!("--work-tree={}", tree.display());
    git(&site.repository(), &[&work_tree, "add", "-A"]);
    let tree = site.git(&["write-tree"]);
    let commit = site.git(&["commit-tree", "-p", "refs/heads/main", "-m", "files", &tree]);
    site.git(&["update-ref", "refs/heads/main", &commit]);
    CommitId::new(commit).expect("a commit")
}

fn with(site: &Site, worker: u64, base: &CommitId, recipe: &Recipe, run: &str) -> Assignment {
    let target = TargetBranch { name: "main".to_owned(), tip: base.clone(), origin: None };
    let recipe = recipe.clone();
    Assignment { base: base.clone(), target: Some(target), recipe, ..site.item(worker, run) }
}

fn setup(line: &str) -> Recipe {
    Recipe { setup: line.to_owned(), ..Recipe::default() }
}

const COMMIT: &str = "echo a > a; git add a; git commit -qm a";

async fn ended(site: &Site, assignment: Assignment) -> Finished {
    let worker = site.assign(assignment).await;
    site.finished(worker).await
}

#[track_caller]
fn is_committed(finished: &Finished) {
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_runs_before_and_a_teardown_after_each_round() {
    let site = Site::start(&[]).await;
    let base = commit(&site, &[(".gitignore", "made\n")]);
    let recipe = Recipe {
        setup: "test ! -e made && echo made > made && echo up in $PWD".to_owned(),
        teardown: "rm made && echo down; exit 3".to_owned(),
        ..Recipe::default()
    };
    // It forgets a file at first, and is told.
    let run = "echo at work; test -e made || exit 9; [ -n \"$SPRINT_FEEDBACK_FILE\" ] || { touch forgotten; exit 0; }; \
               git add -A; git commit -qm all";
    let finished = ended(&site, with(&site, 1, &base, &recipe, run)).await;
    is_committed(&finished);
    let said: Vec<_> = finished.log_tail.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let round = ["up in", "at work", "down", "[sprint] the teardown exited with code 3; nothing depends on it"];
    let found: Vec<_> = said.iter().filter(|line| round.iter().any(|part| line.starts_with(part))).collect();
    assert_eq!(found.len(), 8, "{said:?}");
    for (number, line) in found.iter().enumerate() {
        assert!(line.starts_with(round[number % 4]), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_setup_is_not_the_items_fault_and_its_command_does_not_run() {
    let site = Site::start(&[]).await;
    let base = commit(&site, &[("x", "x")]);
    let finished = ended(&site, with(&site, 1, &base, &setup("echo no toolchain; exit 3"), "echo ran")).await;
    let Outcome::Attempt(AttemptOutcome::NotSetUp { reason }) = &finished.outcome else { panic!("{finished:?}") };
    assert_eq!(reason, "the setup of its workspace exited with code 3");
    assert!(finished.log_tail.contains("no toolchain") && !finished.log_tail.contains("ran"), "{finished:?}");
    assert_eq!((finished.exit_code, finished.steps.len()), (Some(3), 0));

    let slow = Recipe { timeout: std::time::Duration::from_millis(300), ..setup("sleep 60") };
    let finished = ended(&site, with(&site, 2, &base, &slow, "true")).await;
    let Outcome::Attempt(AttemptOutcome::NotSetUp { reason }) = &finished.outcome else { panic!("{finished:?}") };
    assert!(reason.ends_with("timed out after 300ms"), "{reason}");

    let gate = Assignment { recipe: setup("nosuchtool"), ..site.gates(3, &[("test", "true")]) };
    let finished = ended(&site, gate).await;
    let Outcome::Gate(GateRunOutcome::Failed { reason }) = &finished.outcome else { panic!("{finished:?}") };
    assert!(reason.contains("command not found"), "{reason}");

    // What an attempt itself has begun may well be the cause.
    let first = ended(&site, with(&site, 4, &base, &setup("true"), &format!("{COMMIT}; exit 1"))).await;
    assert!(matches!(first.outcome, Outcome::Attempt(AttemptOutcome::Failed { .. })), "{first:?}");
    let head = site.git(&["rev-parse", "refs/sprint/work/104/1"]).parse().expect("a commit");
    let from_ref = "refs/sprint/work/104/1".to_owned();
    let resumed = EarlierWork { attempt: Attempt::new(1), commit: head, uncommitted: None, from_ref };
    let next = Assignment { resumed: Some(resumed), ..with(&site, 5, &base, &setup("exit 1"), "true") };
    let finished = ended(&site, next).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Failed { .. })), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_files_are_brought_from_the_host_and_nothing_else_is() {
    let mut site = Site::without_agent(&[]).await;
    let files = site.path().join("files");
    for (path, text) in
        [("web/.env", "secret"), ("web/config/a.local", "a"), ("web/README", "mine"), ("other/.env", "x")]
    {
        let path = files.join(path);
        fs::create_dir_all(path.parent().expect("is within")).expect("is made");
        fs::write(path, text).expect("is written");
    }
    std::os::unix::fs::symlink("/etc/hostname", files.join("web/link.local")).expect("is made");
    site.add_option("--files");
    site.add_option(&files.display().to_string());
    site.start_agent();
    site.joined(1).await;
    let base = commit(&site, &[(".gitignore", ".env\n*.local\n")]);
    let bring = [".env", "*.local", "!no.local", "README"].map(ToOwned::to_owned).to_vec();
    let recipe = Recipe { bring, ..setup("cat .env config/a.local") };
    let run = format!("readlink link.local; git status --porcelain --untracked-files=all; cat README; {COMMIT}");
    let finished = ended(&site, with(&site, 1, &base, &recipe, &run)).await;
    is_committed(&finished);
    for text in ["secreta", "/etc/hostname", "hello", "README is not brought, since git does not ignore it"] {
        assert!(finished.log_tail.contains(text), "{text} is not in {}", finished.log_tail);
    }
    // A commit cannot have it written elsewhere.
    let clone = site.path().join("tree");
    let elsewhere = site.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("is made");
    std::os::unix::fs::symlink(&elsewhere, clone.join("config")).expect("is made");
    let base = commit(&site, &[("y", "y")]);
    let finished = ended(&site, with(&site, 2, &base, &recipe, "false")).await;
    assert!(finished.log_tail.contains("a.local is not brought: "), "{finished:?}");
    assert_eq!(fs::read_dir(&elsewhere).expect("is read").count(), 0);
    // What is asked for and is not there is said.
    let recipe = Recipe { bring: vec!["*.key".to_owned()], ..Recipe::default() };
    let finished = ended(&site, with(&site, 3, &base, &recipe, "false")).await;
    assert!(finished.log_tail.contains("matches *.key"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_programs_variables_lead_to_the_files_of_the_host() {
    let mut site = Site::without_agent(&[]).await;
    let files = site.path().join("files");
    fs::create_dir_all(files.join("web")).expect("is made");
    fs::write(files.join("web/.env"), "from the host").expect("is written");
    site.add_option("--files");
    site.add_option(&files.display().to_string());
    site.start_agent();
    site.joined(1).await;
    let base = commit(&site, &[(".gitignore", ".env\n")]);
    let line =
        "cp \"$CONDUCTOR_ROOT_PATH/.env\" \"$CONDUCTOR_WORKSPACE_PATH/.env\" && test $CONDUCTOR_PORT = $SPRINT_PORT";
    let recipe = Recipe { variables: Some("CONDUCTOR".to_owned()), ..setup(line) };
    let finished = ended(&site, with(&site, 1, &base, &recipe, &format!("cat .env; {COMMIT}"))).await;
    is_committed(&finished);
    assert!(finished.log_tail.contains("from the host"), "{finished:?}");
}

fn cached() -> Recipe {
    let cache = vec![Cache { path: "deps".to_owned(), key: vec!["lock".to_owned()] }];
    let line =
        "echo cache $SPRINT_CACHE; [ $SPRINT_CACHE = hit ] || { mkdir deps; cp lock deps/; ln -s lock deps/link; }";
    Recipe { cache, ..setup(line) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_kept_for_the_same_key_and_what_workers_change_in_it_is_not() {
    let site = Site::start(&[]).await;
    let recipe = cached();
    let base = commit(&site, &[(".gitignore", "deps/\n"), ("lock", "one")]);
    let first = ended(&site, with(&site, 1, &base, &recipe, &format!("echo poison > deps/lock; {COMMIT}"))).await;
    is_committed(&first);
    assert!(first.log_tail.contains("cache miss"), "{first:?}");
    let look = format!("cat deps/lock; readlink deps/link; echo worse > deps/lock; touch deps/more; {COMMIT}");
    let second = ended(&site, with(&site, 2, &base, &recipe, &look)).await;
    is_committed(&second);
    assert!(second.log_tail.contains("cache hit") && second.log_tail.contains("one"), "{second:?}");
    let gate = Assignment {
        recipe: recipe.clone(),
        base: base.clone(),
        base_ref: "refs/heads/main".to_owned(),
        ..site.gates(3, &[("test", "cat deps/lock; test ! -e deps/more && test $SPRINT_CACHE = hit")])
    };
    let gate = ended(&site, gate).await;
    assert_eq!(gate.exit_code, Some(0), "{gate:?}");
    assert!(gate.log_tail.contains("one"), "{gate:?}");
    // Another key, another directory.
    let base = commit(&site, &[("lock", "two")]);
    let third = ended(&site, with(&site, 4, &base, &recipe, &format!("cat deps/lock; {COMMIT}"))).await;
    assert!(third.log_tail.contains("cache miss") && third.log_tail.contains("two"), "{third:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_branchs_or_has_failed_fills_no_cache() {
    let site = Site::start(&[]).await;
    let recipe = cached();
    let base = commit(&site, &[(".gitignore", "deps/\n"), ("lock", "one")]);
    let caches = || fs::read_dir(site.data().join("caches/web")).map_or(0, Iterator::count);
    // A gate, whose candidate nobody has taken yet.
    let gate = Assignment { recipe: recipe.clone(), base: base.clone(), ..site.gates(1, &[("test", "true")]) };
    let gate = Assignment { base_ref: "refs/heads/main".to_owned(), ..gate };
    assert_eq!(ended(&site, gate).await.exit_code, Some(0));
    // A commit that is not the branch's tip.
    let mut off = with(&site, 2, &base, &recipe, COMMIT);
    off.target = Some(TargetBranch { name: "main".to_owned(), tip: site.base.clone(), origin: None });
    is_committed(&ended(&site, off).await);
    let failed = Recipe { setup: format!("{}; exit 1", recipe.setup), ..recipe.clone() };
    ended(&site, with(&site, 3, &base, &failed, "true")).await;
    assert_eq!(caches(), 0);
    // A link in the directory's place would have the agent read what the setup may not.
    let secret = site.path().join("secret");
    fs::create_dir_all(&secret).expect("is made");
    fs::write(secret.join("key"), "very secret").expect("is written");
    let link = Recipe { setup: format!("ln -s '{}' deps", secret.display()), ..recipe.clone() };
    let finished = ended(&site, with(&site, 4, &base, &link, COMMIT)).await;
    assert!(finished.log_tail.contains("deps is not kept: the setup has not made a directory of it"), "{finished:?}");
    // One that git does not ignore would land.
    let tracked = Recipe { cache: vec![Cache { path: "src".to_owned(), key: vec!["lock".to_owned()] }], ..recipe };
    let finished = ended(&site, with(&site, 5, &base, &tracked, "false")).await;
    assert!(finished.log_tail.contains("src is not kept: git does not ignore it"), "{finished:?}");
    assert_eq!(caches(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_have_ports_of_their_own_also_after_the_agent_was_killed() {
    let mut site = Site::start(&[]).await;
    let port = "echo port=$SPRINT_PORT=$SPRINT_PORTS=; read end";
    let first = site.assign(site.item(1, port)).await;
    site.started(first).await;
    site.logged(first, "port=").await;
    site.kill_agent();
    site.start_agent();
    site.joined(2).await;
    let second = site.assign(site.item(2, port)).await;
    site.logged(second, "port=").await;
    let of = |worker| {
        let log = String::from_utf8_lossy(&site.coordinator.with(|state| state.log(worker))).into_owned();
        let (_, rest) = log.split_once("port=").expect("is said");
        let mut parts = rest.split('=');
        let (port, range) = (parts.next().expect("a port").to_owned(), parts.next().expect("a range").to_owned());
        let first = port.parse::<u16>().expect("is a port");
        assert_eq!(range, format!("{first}-{}", first + 9));
        assert!(first + 9 < 32_768);
        first
    };
    assert!(of(first).abs_diff(of(second)) >= 10);
    for worker in [first, second] {
        site.coordinator.stop_worker(worker, "enough").await;
        site.finished(worker).await;
    }
}
