//! `outpost-agent check`: what a worker would miss on a host, before it joins.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sprint_tests::{Cluster, binary};

/// Runs it with a home of its own; answers its code and what it printed.
fn check(home: &Path, path: &str, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary("outpost-agent"));
    command.arg("check").args(args).env("HOME", home).env_remove("XDG_STATE_HOME").env("PATH", path);
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn path() -> String {
    std::env::var("PATH").expect("is set")
}

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("has one")).expect("is made");
    fs::write(path, text).expect("is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("is set");
}

#[test]
fn a_command_is_tried_as_a_workers_would_be() {
    let home = tempfile::tempdir().expect("a directory");
    let secret = home.path().join("secret");
    fs::write(&secret, "hidden").expect("is written");
    let try_out = |line: &str| check(home.path(), &path(), &["--run", line]);

    let (code, said) = try_out("echo \"$SPRINT_ROLE in $PWD\"; git status --short; test -t 1 && echo a terminal");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok    workers are confined") && said.contains("developer in "), "{said}");
    assert!(said.contains("a terminal"), "{said}");
    let (code, said) = try_out(&format!("cat {}", secret.display()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no    the command exited with code 1"), "{said}");
    let (code, said) = try_out("no-such-program --version");
    assert!(code == Some(1) && said.contains("command not found: no-such-program"), "{said}");
    let (code, said) = check(home.path(), &path(), &["--timeout", "1s", "--run", "sleep 60"]);
    assert!(code == Some(1) && said.contains("no    the command took too long"), "{said}");
    assert!(said.contains("sleep (process"), "what it waited for is said: {said}");
    let (code, said) = try_out("echo '[1:1/zygote.cc] No usable sandbox!'; exit 1");
    assert!(code == Some(1) && said.contains("start it with --no-sandbox"), "{said}");
    // Nothing of it stays.
    let state = home.path().join(".local/state/sprint");
    assert_eq!(fs::read_dir(state).expect("is there").count(), 0);
}

#[test]
fn programs_that_workers_cannot_run_are_named_with_the_flag_that_helps() {
    let home = tempfile::tempdir().expect("a directory");
    // A home is not for everybody to read.
    program(&home.path().join("own-tool"), "#!/bin/sh\necho works\n");
    let path = format!("{}:{}", home.path().display(), path());
    let (code, said) = check(home.path(), &path, &["--run", "own-tool"]);
    assert_eq!(code, Some(1), "{said}");
    let line = said.lines().find(|line| line.contains("workers cannot run own-tool")).expect("it is named");
    let flag = line.split_once("outpost-agent join with ").expect("has a flag").1;
    let mut args: Vec<&str> = flag.split(' ').collect();
    args.extend(["--run", "own-tool"]);
    let (code, said) = check(home.path(), &path, &args);
    assert!(code == Some(0) && said.contains("works"), "{said}");
}

#[test]
fn what_is_missing_for_good_is_said_and_fails() {
    let home = tempfile::tempdir().expect("a directory");
    let bin = home.path().join("bin");
    fs::create_dir(&bin).expect("is made");
    for name in ["git", "sh"] {
        let found = path().split(':').map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
        std::os::unix::fs::symlink(found.expect("is there"), bin.join(name)).expect("is made");
    }
    let (code, said) = check(home.path(), &bin.display().to_string(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no    tmux was not found") && said.contains("apt-get install tmux"), "{said}");
    assert!(said.contains("note  git-lfs was not found"), "{said}");
    let file = home.path().join("outpost.toml");
    fs::write(&file, "coordinator = \"build:50051\"\nallow_read = [\"/no/such/path\"]\n").expect("is written");
    let (code, said) = check(home.path(), &path(), &["--config", &file.display().to_string()]);
    assert!(code == Some(1) && said.contains("/no/such/path cannot be granted to workers"), "{said}");
}

#[test]
fn a_worker_whose_own_sandbox_does_not_start_is_told_what_to_do() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let run = "echo 'bwrap: setting up uid map: Read-only file system'; for i in $(seq 3000); do echo more; done";
    let id = cluster.add(&repo, "Agent with a sandbox", run);
    let reason = cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("bubblewrap does not start within a worker's confinement"), "{reason}");
    assert!(reason.contains("--dangerously-bypass-approvals-and-sandbox"), "{reason}");
}

#[test]
fn of_a_program_that_draws_its_screen_the_last_one_is_shown() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "2", "--max-duration", "2s"]);
    let draw = "printf '\\033[?1049h\\033[2J\\033[4;7HDo you trust this folder?\\033[6;7H> Yes, go on'";
    let run = format!(
        "[ -n \"$SPRINT_FEEDBACK_FILE\" ] && exit 1; trap 'printf \"\\033[2J\\033[?1049l\"; exit 1' TERM; {draw}; sleep 60 & wait"
    );
    let id = cluster.add(&repo, "Asks something", &run);
    cluster.until(id, "blocked");
    let shown = cluster.sprintctl(&["item", "show", &id.to_string()]).succeeded().text();
    assert!(shown.contains("Do you trust this folder?") && shown.contains("> Yes, go on"), "{shown}");
    let feedback = shown.split_once("feedback of attempt 1").expect("there is one").1;
    assert!(!feedback.contains("4;7H"), "{shown}");
}
