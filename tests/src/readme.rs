//! The README's quickstart, run as it stands.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::binaries::binary;
use crate::git::Repo;

/// The commands of the README's section "Use it".
///
/// # Panics
/// There is no such section with a block of commands.
pub fn quickstart(readme: &str) -> String {
    let section = readme.split("\n## Use it\n").nth(1).expect("the README says how to use it");
    let block = section.split("```").nth(1).expect("by commands");
    assert!(block.contains("coordinator serve") && block.contains("sprintctl wait"), "{block}");
    block.to_owned()
}

/// Runs a script with the binaries of this build in a network of its own, where the default ports are free,
/// and in a home of its own.
///
/// # Errors
/// No such network can be made here.
///
/// # Panics
/// The machine lacks a shell.
pub fn run_apart(script: &str) -> Result<Output, String> {
    let apart = |command: &mut Command| {
        command.args(["--net", "--map-root-user", "--kill-child", "--pid", "--fork", "--mount-proc"]);
    };
    let mut probe = Command::new("unshare");
    apart(&mut probe);
    let probed = probe.arg("true").output().map_err(|error| format!("unshare cannot be run: {error}"))?;
    if !probed.status.success() {
        return Err(String::from_utf8_lossy(&probed.stderr).trim().to_owned());
    }
    let home = tempfile::Builder::new().prefix("sprint-readme.").tempdir_in("/tmp").expect("a directory");
    let repo = Repo::make(home.path(), "web", &[("Makefile", "test:\n\ttest -e greeting.txt || true\n")]);
    let tools = home.path().join("bin");
    std::fs::create_dir(&tools).expect("is made");
    let agent = "#!/bin/sh\ncat > prompt.txt\necho hello > greeting.txt\ngit add greeting.txt\nrm prompt.txt\ngit commit -qm Greet\n";
    std::fs::write(tools.join("my-agent"), agent).expect("is written");
    Command::new("chmod").arg("+x").arg(tools.join("my-agent")).status().expect("it runs");
    let programs = binary("coordinator").parent().map(PathBuf::from).expect("a directory");
    let path = format!("{}:{}:{}", programs.display(), tools.display(), std::env::var("PATH").unwrap_or_default());
    // What the test cannot do as it stands: building again, and reaching the Internet.
    let script = script
        .lines()
        .filter(|line| !line.starts_with("cargo build"))
        .map(|line| line.replace("https://example.org/web.git", &repo.upstream.display().to_string()))
        .map(|line| match line.strip_suffix(" &") {
            Some(daemon) => format!("{daemon} >>~/daemons.log 2>&1 &"),
            None => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let script = format!(
        "set -e\nip link set lo up\ntrap 'status=$?; [ $status = 0 ] || tail -n 30 ~/daemons.log >&2' EXIT\n\
         {script}\n\
         sprintctl outpost drain here\nrepo=$(sprintctl item show 1 -o json)\ncase $repo in *'\"stage\": \"done\"'*) echo 'README: done' ;; *) false ;; esac\n"
    );
    let mut command = Command::new("unshare");
    apart(&mut command);
    let output = command
        .args(["timeout", "60", "bash", "-c", &script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("LANG", "C.UTF-8")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    crate::processes::end_all(&home.path().display().to_string());
    Ok(output)
}
