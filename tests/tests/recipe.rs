//! Workspaces are set up as the repository says, in our own file or in those of other programs; what fails there is
//! nobody's who wrote an item.

use std::fs;
use std::path::Path;

use sprint_tests::{Cluster, OutpostOptions, Repo, commit, eventually, git};

/// A repo whose branch holds these files.
fn with_files(cluster: &Cluster, files: &[(&str, &str)]) -> Repo {
    let repo = cluster.repo("web", &[], &[]);
    push(cluster, &repo, files);
    repo
}

fn push(cluster: &Cluster, repo: &Repo, files: &[(&str, &str)]) {
    let clone = cluster.path().join("clone");
    if !clone.is_dir() {
        git(cluster.path(), &["clone", "-q", &repo.upstream.display().to_string(), "clone"]);
    }
    git(&clone, &["pull", "-q", "origin", "main"]);
    for (path, text) in files {
        let path = clone.join(path);
        fs::create_dir_all(path.parent().expect("is within")).expect("is made");
        fs::write(path, text).expect("is written");
    }
    git(&clone, &["add", "-A"]);
    git(&clone, &["commit", "-qm", "files"]);
    git(&clone, &["push", "-q", "origin", "HEAD:main"]);
    cluster.sprintctl(&["repo", "fetch", &repo.name]).succeeded();
}

fn log_of_first(cluster: &Cluster, item: u64) -> String {
    let workers = cluster.workers(item);
    cluster.sprintctl(&["worker", "logs", &workers[0]["id"].to_string()]).succeeded().text()
}

#[test]
fn an_attempt_and_its_gate_find_what_the_setup_has_made_and_a_cache_is_filled_once() {
    let cluster = Cluster::start(1);
    let count = cluster.shared().join("count");
    let config = format!(
        "[[gate]]\nname = 'test'\nrun = 'test -e deps/done && test -n \"$SPRINT_PORT\"'\n\
         [workspace]\nsetup = '''[ $SPRINT_CACHE = hit ] || {{ echo x >> '{}'; mkdir deps; touch deps/done; }}'''\n\
         cache = [{{ path = 'deps', key = 'lock' }}]\n",
        count.display()
    );
    let repo = with_files(&cluster, &[("sprint.toml", &config), (".gitignore", "deps/\n"), ("lock", "1")]);
    for number in 0..3 {
        let run = format!("test -e deps/done && {}", commit(&format!("f{number}"), "f"));
        let id = cluster.add(&repo, "Uses it", &run);
        cluster.landed(&repo, id);
    }
    assert_eq!(fs::read_to_string(count).expect("is written"), "x\n");
}

#[test]
fn a_setup_that_fails_blames_no_item_and_goes_on_when_it_is_repaired() {
    let cluster = Cluster::start(1);
    let broken = "[workspace]\nsetup = 'echo there is no toolchain; exit 3'\n";
    let repo = with_files(&cluster, &[("sprint.toml", broken)]);
    let id = cluster.add(&repo, "Waits", &commit("a", "a"));
    let said = || cluster.sprintctl(&["repo", "show", "web"]).succeeded().stderr.clone();
    eventually("the repo says it", || {
        said().contains("workspaces cannot be set up: the setup of its workspace exited with code 3 (on local-1)")
    });
    eventually("it is tried again", || cluster.count(id, "item_attempt_lost") >= 2);
    let item = cluster.item(id);
    assert_ne!(item["stage"], "blocked", "{item}");
    assert_eq!(item["failures"].as_u64().unwrap_or(0), 0, "{item}");
    assert!(log_of_first(&cluster, id).contains("there is no toolchain"));
    let explained = cluster.sprintctl(&["item", "explain", &id.to_string()]).succeeded().text();
    assert!(explained.contains("the setup of its workspace exited with code 3"), "{explained}");
    push(&cluster, &repo, &[("sprint.toml", "[workspace]\nsetup = 'true'\n")]);
    cluster.sprintctl(&["item", "retry", &id.to_string()]);
    cluster.landed(&repo, id);
    assert!(!said().contains("workspaces cannot be set up"), "{}", said());
}

#[test]
fn what_people_have_is_read_and_files_come_from_the_outposts_directory() {
    let mut cluster = Cluster::start(0);
    let files = cluster.path().join("files");
    fs::create_dir_all(files.join("web")).expect("is made");
    fs::write(files.join("web/.env"), "KEY=1\n").expect("is written");
    let more = vec!["--files".to_owned(), files.display().to_string()];
    cluster.add_outpost("local-1", OutpostOptions { more, ..OutpostOptions::default() });
    cluster.online("local-1");
    let conductor = r#"{"scripts": {"setup": "cp \"$CONDUCTOR_ROOT_PATH/.env\" copied && cat .env"}}"#;
    let repo = with_files(
        &cluster,
        &[("conductor.json", conductor), (".worktreeinclude", ".env\n"), (".gitignore", ".env\ncopied\n")],
    );
    let id = cluster.add(&repo, "Reads it", &format!("grep KEY=1 .env copied && {}", commit("a", "a")));
    cluster.landed(&repo, id);
    let landed = git(Path::new(&repo.upstream), &["ls-tree", "-r", "--name-only", "main"]);
    assert!(!landed.contains(".env") && !landed.contains("copied"), "{landed}");
    // A file of another program's stops nothing.
    push(&cluster, &repo, &[("conductor.json", "{ not JSON")]);
    let id = cluster.add(&repo, "Goes on", &commit("b", "b"));
    cluster.landed(&repo, id);
    assert!(log_of_first(&cluster, id).contains("[sprint] conductor.json cannot be read and is left out"));
}
