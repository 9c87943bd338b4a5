//! The benchmark runs, each part in a short form: one that is not run rots. No figure is asserted.

use std::process::Command;

use sprint_test_needs::{Need, have};

/// Runs a part, and says that it showed each of these figures.
fn shows(part: &str, figures: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(["--short", part]).output().expect("bench runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{part} failed:\n{out}\n{err}");
    for figure in figures {
        assert!(out.contains(&format!("| {figure}")), "{part} does not show \"{figure}\":\n{out}");
    }
}

macro_rules! parts {
    ($($part:ident: $($figure:literal),+;)+) => {
        $(#[test]
        fn $part() {
            shows(stringify!($part), &[$($figure),+]);
        })+
    };
}

parts! {
    transitions: "floor: the same rows", "item transitions, 1 callers", "item transitions, 64 callers";
    landing: "landings, results known", "work of a landing", "memory after", "repository after 15 landings", "fetch of the last 5 landings";
    dispatch: "durable dispatches";
    events: "call made";
    confine: "a command in a confinement of none", "a command in a confinement of files, calls and processes";
    start: "item added → command running, a new tree", "item added → command running, a warm tree";
    burst: "workers started";
    logs: "log bytes to the coordinator's disk, 1 workers", "log bytes to the coordinator's disk, 2 workers";
    fleet: "joining";
    recovery: "coordinator killed", "agent killed", "a worker's process killed", "a lease lapsed";
    idle: "idle coordinator";
}

#[test]
fn agents() {
    if have(Need::Agents, sprint_tests::agents::packages).is_some() {
        shows(
            "agents",
            &["assignment → first request of the model, codex", "memory of the shim", "processor of the shim"],
        );
    }
}

#[test]
fn an_unknown_part_is_refused_with_the_names_of_all() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(["--short", "landings"]).output().expect("bench runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("landings") && said.contains("transitions"), "{said}");
}
