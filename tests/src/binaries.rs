//! The binaries under test: built once for each test run, whichever process of it comes first.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a binary of the workspace, freshly built.
pub fn binary(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(build).join(name)
}

/// Says that the programs of this workspace are built: `.ci/test` sets it.
const BUILT: &str = "SPRINT_BINARIES_BUILT";

/// Builds the binaries beside the program that wants them, or above the test executables, and answers where.
fn build() -> PathBuf {
    let executable = std::env::current_exe().expect("a test knows its executable");
    let beside = executable.parent().expect("it is in a directory");
    let of_tests = beside.ends_with("deps").then(|| beside.parent()).flatten();
    let directory = of_tests.unwrap_or(beside).to_owned();
    // Who runs all tests has built all programs with them.
    if std::env::var_os(BUILT).is_some() {
        return directory;
    }
    // nextest runs each test in a process of its own: the lock lets one of them build.
    let mut mark = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(".sprint-tests-built"))
        .expect("the target directory can be written");
    mark.lock().expect("the mark can be locked");
    let mut built_for = String::new();
    mark.read_to_string(&mut built_for).expect("the mark can be read");
    if built_for != run() || !directory.join("sprintctl").exists() {
        cargo_build(&directory);
        mark.set_len(0).expect("the mark can be written");
        mark.rewind().expect("the mark can be written");
        mark.write_all(run().as_bytes()).expect("the mark can be written");
    }
    directory
}

/// What tells this test run from others.
fn run() -> String {
    std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("parent {}", std::os::unix::process::parent_id()))
}

fn cargo_build(directory: &Path) {
    // By itself cargo finds the toolchain of the workspace, and gives it to every crate.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "coordinator", "-p", "outpost-agent", "-p", "sprintctl", "--bins"]);
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    cargo.arg("--target-dir").arg(directory.parent().expect("target/PROFILE"));
    // What cargo and nextest tell a test of its own crate would make build scripts run again.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "NEXTEST"];
        if own.iter().any(|prefix| name.starts_with(prefix)) || name == "LD_LIBRARY_PATH" || name == "OUT_DIR" {
            cargo.env_remove(&key);
        }
    }
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the binaries cannot be built");
}
