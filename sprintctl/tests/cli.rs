//! The real binary, where no coordinator is needed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

fn sprintctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprintctl"));
    for variable in ["SPRINT_COORDINATOR", "SPRINT_CONTEXT", "SPRINT_TOKEN"] {
        command.env_remove(variable);
    }
    command.env("SPRINT_CONFIG_DIR", "/nowhere").stdin(Stdio::null());
    command
}

/// A token that is whole, of a coordinator that there is not.
fn token() -> String {
    format!("sprint1_1a2b3c4d_{}_{}", "5e".repeat(20), "f1".repeat(32))
}

/// A free port without a listener.
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
    let by_flag =
        sprintctl().args(["status", "--coordinator", &address]).env("SPRINT_TOKEN", token()).output().unwrap();
    assert_eq!(
        stderr(&by_flag),
        format!(
            "error: no coordinator answers at {address} (connection refused); start one with: coordinator serve, or name another with --coordinator HOST:PORT\n"
        )
    );
    assert_eq!(by_flag.status.code(), Some(1));
    assert!(by_flag.stdout.is_empty());
    let mut by_environment = sprintctl();
    by_environment.args(["item", "list"]).env("SPRINT_COORDINATOR", &address).env("SPRINT_TOKEN", token());
    let by_environment = by_environment.output().unwrap();
    assert_eq!((by_environment.status.code(), stderr(&by_environment)), (Some(1), stderr(&by_flag)));
}

#[test]
fn with_json_a_failure_is_an_object_with_a_code() {
    let failure = |args: &[&str], variables: &[(&str, &str)]| {
        let output = sprintctl().args(args).envs(variables.iter().copied()).output().unwrap();
        assert!(output.stdout.is_empty() && !output.status.success(), "{args:?}");
        let error: serde_json::Value = serde_json::from_str(&stderr(&output)).expect("is one JSON object");
        (output.status.code(), error["error"]["code"].as_str().map(ToOwned::to_owned), error)
    };
    let home = tempfile::tempdir().unwrap();
    let config = [("SPRINT_CONFIG_DIR", home.path().to_str().unwrap())];
    let code = |code: &str| Some(code.to_owned());
    let (exit, found, error) = failure(&["status", "-o", "json"], &config);
    assert_eq!((exit, found), (Some(1), code("client.no_coordinator")));
    let fields: Vec<_> = error["error"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["at", "code", "message", "next"]);
    let (exit, found, _) = failure(&["item", "add", "--output=json"], &config);
    assert_eq!((exit, found), (Some(2), code("client.usage")));
    let address = silent_address();
    let token = token();
    let (exit, found, error) =
        failure(&["status", "-o", "json", "--coordinator", &address], &[("SPRINT_TOKEN", token.as_str())]);
    assert_eq!((exit, found), (Some(1), code("client.unreachable")));
    assert!(error["error"]["next"].as_str().unwrap().contains("coordinator serve"), "{error}");
    let (_, _, error) = failure(&["login", &token, "-o", "json"], &config);
    assert!(!error.to_string().contains("5e5e"), "{error}");
}

#[test]
fn a_server_that_is_no_coordinator_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It answers every connection as a web server would answer nonsense.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").ok();
        }
    });
    let output = sprintctl().args(["status", "--coordinator", &address]).env("SPRINT_TOKEN", token()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("does not speak TLS; is that the coordinator's gRPC port"), "{said}");
}

#[test]
fn a_command_line_that_makes_no_sense_fails_with_2() {
    for args in [
        &["item", "add"][..],
        &["item", "show", "x"],
        &["nonsense"],
        &["status", "--coordinator", "here"],
        &["audit", "-x"],
        &[],
    ] {
        let output = sprintctl().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_token_in_the_wrong_place_is_not_repeated() {
    let token = token();
    let whole = |args: &[&str], variable: Option<&str>| {
        let mut command = sprintctl();
        command.args(args);
        if let Some(value) = variable {
            command.env("SPRINT_TOKEN", value);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
        stderr(&output)
    };
    let said = [
        whole(&["login", &token], None),
        whole(&["item", "show", &token], None),
        whole(&["--context", &token, "status"], None),
        whole(&["token", "revoke", &token[..50]], None),
        whole(&["status", "--coordinator", "a:1"], Some(&token[..50])),
        whole(&["status"], Some("hunter2")),
        whole(&["login", "--coordinator", "a:1", "--token", "hunter2"], None),
    ];
    for said in said {
        assert!(!said.contains("5e5e") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn contexts_need_no_coordinator() {
    let home = tempfile::tempdir().unwrap();
    let context = |args: &str| {
        let output = sprintctl().args(args.split(' ')).env("SPRINT_CONFIG_DIR", home.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
    };
    assert_eq!(context("context list -o json"), (Some(0), "[]\n".to_owned(), String::new()));
    let file = |name: &str| home.path().join("contexts").join(format!("{name}.toml"));
    std::fs::create_dir(home.path().join("contexts")).unwrap();
    let write = |name: &str, text: &str, mode| {
        std::fs::write(file(name), text).unwrap();
        std::fs::set_permissions(file(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let text = format!("coordinator = \"a:50051\"\ntrust = \"\"\ntoken = \"{}\"\n", token());
    write("a", &text, 0o600);
    write("b", &text, 0o640);
    write("damaged", "coordinator = \"a:1\"\ntoken = hunter2", 0o600);
    let transcript = [
        "context list",
        "context show",
        "context use a",
        "context show",
        "context list -o json",
        "context show damaged",
        "context use c",
        "context show C",
        "context remove damaged",
        "context remove damaged",
        "logout a",
        "logout",
        "logout b",
        "status",
    ]
    .map(|line| {
        let (code, stdout, stderr) = context(line);
        format!("$ sprintctl {line}\n{stdout}{stderr}({})\n", code.unwrap())
    })
    .join("\n")
    .replace(&home.path().display().to_string(), "HOME");
    insta::assert_snapshot!(transcript);
    assert!(!transcript.contains("5e5e") && !transcript.contains("hunter2"));
    assert!(!file("a").exists() && !file("b").exists());
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
    for page in
        ["sprintctl.1", "sprintctl-item.1", "sprintctl-item-add.1", "sprintctl-wait.1", "sprintctl-token-create.1"]
    {
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
