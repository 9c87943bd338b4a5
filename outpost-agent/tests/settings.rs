//! The settings of the real binary: variables, and the reference table.

use std::process::{Command, Output};

fn join(variables: &[(&str, &str)], flags: &[&str]) -> (Output, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_outpost-agent"));
    command.args(["join", "--coordinator", "127.0.0.1:1", "--data-dir"]).arg(dir.path()).args(flags);
    command.env_remove("SPRINT_TOKEN").env_remove("SPRINT_OUTPOST_TOKEN").env_remove("SPRINT_TOKEN_FILE");
    let output = command.envs(variables.iter().copied()).output().expect("the agent runs");
    let said = String::from_utf8(output.stderr.clone()).expect("is UTF-8");
    (output, said)
}

#[test]
fn the_former_variable_of_the_token_is_read_with_a_warning() {
    let (output, said) = join(&[("SPRINT_TOKEN", "hunter2")], &[]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("warning: SPRINT_TOKEN") && said.contains("set SPRINT_OUTPOST_TOKEN instead"), "{said}");
    assert!(said.contains("a token begins with \"sprint1_\"") && !said.contains("hunter2"), "{said}");
}

#[test]
fn the_outposts_own_variable_takes_precedence_without_a_warning() {
    for variables in [
        &[("SPRINT_OUTPOST_TOKEN", "hunter2")][..],
        &[("SPRINT_OUTPOST_TOKEN", "hunter2"), ("SPRINT_TOKEN", "a person's")],
    ] {
        let (output, said) = join(variables, &[]);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("warning") && !said.contains("hunter2"), "{said}");
        assert!(said.contains("a token begins with \"sprint1_\""), "{said}");
    }
}

#[test]
fn a_persons_token_in_the_environment_does_not_stand_in_the_way_of_a_token_file() {
    let (_, said) = join(&[("SPRINT_TOKEN", "hunter2")], &["--token-file", "/nowhere/token"]);
    assert!(said.contains("/nowhere/token") && !said.contains("warning"), "{said}");
}

#[test]
fn a_wrong_setting_in_the_file_is_a_mistake_of_usage() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("outpost.toml");
    std::fs::write(&file, "wram = 3\n").expect("is written");
    let (output, said) = join(&[("SPRINT_OUTPOST_CONFIG", &file.to_string_lossy())], &[]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no setting \"wram\""), "{said}");
}

#[test]
fn the_reference_lists_every_setting() {
    let output = Command::new(env!("CARGO_BIN_EXE_outpost-agent")).args(["config", "--reference"]).output();
    let output = output.expect("the agent runs");
    let table = String::from_utf8(output.stdout).expect("is UTF-8");
    assert!(output.status.success() && table.lines().count() > 20, "{table}");
    assert!(table.contains("| `--min-free-disk SIZE` | `SPRINT_OUTPOST_MIN_FREE_DISK` | `min_free_disk` | `1GiB` |"));
}
