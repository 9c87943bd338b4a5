//! The real binary, where no coordinator is needed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn sprintctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprintctl"));
    command.env_remove("SPRINT_COORDINATOR").stdin(Stdio::null());
    command
}

/// A port that is free, and where nobody listens.
fn silent_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("is bound").to_string()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("is UTF-8")
}

#[test]
fn without_a_coordinator_it_fails_with_1_and_says_what_to_do() {
    let address = silent_address();
    let by_flag = sprintctl().args(["status", "--coordinator", &address]).output().unwrap();
    assert_eq!(
        stderr(&by_flag),
        format!(
            "error: no coordinator answers at {address} (connection refused); start one with: coordinator serve, or name another with --coordinator HOST:PORT\n"
        )
    );
    assert_eq!(by_flag.status.code(), Some(1));
    assert!(by_flag.stdout.is_empty());
    let by_environment = sprintctl().args(["item", "list"]).env("SPRINT_COORDINATOR", &address).output().unwrap();
    assert_eq!((by_environment.status.code(), stderr(&by_environment)), (Some(1), stderr(&by_flag)));
}

#[test]
fn something_that_is_no_coordinator_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It answers every connection as a web server would answer nonsense.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").ok();
        }
    });
    let output = sprintctl().args(["status", "--coordinator", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("check that it runs and that --coordinator names its gRPC address"), "{said}");
}

#[test]
fn a_command_line_that_makes_no_sense_fails_with_2() {
    for args in [&["item", "add"][..], &["item", "show", "x"], &["nonsense"], &["status", "--coordinator", "here"], &[]]
    {
        let output = sprintctl().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn completions_are_written_for_each_shell() {
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef sprintctl"), ("fish", "complete -c sprintctl")] {
        let output = sprintctl().args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains(sign) && script.contains("in_progress"), "{shell}");
    }
}

#[test]
fn man_pages_are_written_for_each_command() {
    let dir = tempfile::tempdir().unwrap();
    let output = sprintctl().arg("man").arg(dir.path().join("man1")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for page in ["sprintctl.1", "sprintctl-item.1", "sprintctl-item-add.1", "sprintctl-wait.1"] {
        assert!(dir.path().join("man1").join(page).exists(), "{page}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child =
        sprintctl().args(["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The script is larger than a pipe holds, so that the writer is still at it.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}
