use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use sprint_core::gates::{GateOutcome, ReportFile, ReportKind};

use super::*;

const JUNIT: &str = r#"<testsuite><testcase name="a"/></testsuite>"#;

fn gate(path: &str) -> Gate {
    Gate { report: vec![ReportFile { kind: ReportKind::Junit, path: path.to_owned() }], ..Gate::new("x", "true") }
}

fn ended_well() -> CommandResult {
    CommandResult { name: "x".to_owned(), exit_code: Some(0), signal: None, timed_out: false, duration_ms: 1 }
}

/// The verdict on a gate that did this, in a workspace that had been brought into a state before.
fn verdict(path: &str, prepare: impl FnOnce(&Path), run: impl FnOnce(&Path)) -> GateVerdict {
    let dir = tempfile::tempdir().expect("a directory");
    let workspace = dir.path().join("workspace");
    fs::create_dir(&workspace).expect("is made");
    fs::write(dir.path().join("outside.xml"), JUNIT).expect("is written");
    prepare(&workspace);
    let gate = gate(path);
    let before = Before::look(&gate, &workspace, dir.path());
    run(&workspace);
    before.judge(&gate, &ended_well())
}

fn write(dir: &Path) {
    fs::create_dir_all(dir.join("out")).expect("is made");
    fs::write(dir.join("out/j.xml"), JUNIT).expect("is written");
}

#[track_caller]
fn refused(verdict: &GateVerdict, why: &str) {
    assert_eq!(verdict.outcome, GateOutcome::Failed);
    assert!(verdict.reason.contains(why), "{}", verdict.reason);
}

#[test]
fn a_report_counts_if_the_run_has_written_it() {
    let made = verdict("out/j.xml", |_| {}, write);
    assert_eq!((made.outcome, made.reason.as_str()), (GateOutcome::Passed, ""));
    let replaced = verdict("out/j.xml", write, |dir| {
        fs::remove_file(dir.join("out/j.xml")).expect("goes");
        write(dir);
    });
    assert_eq!(replaced.outcome, GateOutcome::Passed);
    // The clock of a file system ticks every few milliseconds.
    let again = verdict("out/j.xml", write, |dir| {
        std::thread::sleep(std::time::Duration::from_millis(30));
        write(dir);
    });
    assert_eq!(again.outcome, GateOutcome::Passed, "the same content, written again");
}

#[test]
fn a_report_of_an_earlier_run_is_stale_whatever_time_it_claims() {
    refused(&verdict("out/j.xml", write, |_| {}), "the report out/j.xml is older than this run");
    let in_future = |dir: &Path| {
        write(dir);
        let file = File::options().write(true).open(dir.join("out/j.xml")).expect("is there");
        let tomorrow = std::time::SystemTime::now() + std::time::Duration::from_hours(24);
        file.set_modified(tomorrow).expect("is set");
    };
    refused(&verdict("out/j.xml", in_future, |_| {}), "is older than this run");
    // Through a link, it is still the old file; a file system's clock ticks every few milliseconds.
    let long_before = |dir: &Path| {
        write(dir);
        std::thread::sleep(std::time::Duration::from_millis(30));
    };
    refused(
        &verdict("now.xml", long_before, |dir| symlink("out/j.xml", dir.join("now.xml")).expect("is made")),
        "is older than this run",
    );
}

#[test]
fn no_report_leads_out_of_the_workspace() {
    let outside = "leads out of the workspace";
    refused(&verdict("j.xml", |_| {}, |dir| symlink("../outside.xml", dir.join("j.xml")).expect("is made")), outside);
    let absolute = |dir: &Path| symlink(dir.parent().expect("one").join("outside.xml"), dir.join("j.xml"));
    refused(&verdict("j.xml", |_| {}, |dir| absolute(dir).expect("is made")), outside);
    refused(&verdict("up/outside.xml", |_| {}, |dir| symlink("..", dir.join("up")).expect("is made")), outside);
    refused(&verdict("../outside.xml", |_| {}, |_| {}), outside);
    refused(
        &verdict("j.xml", |_| {}, |dir| symlink("/proc/self/environ", dir.join("j.xml")).expect("is made")),
        outside,
    );
    let within = verdict(
        "j.xml",
        |_| {},
        |dir| {
            write(dir);
            symlink("out/j.xml", dir.join("j.xml")).expect("is made");
        },
    );
    assert_eq!(within.outcome, GateOutcome::Passed);
}

#[test]
fn a_report_that_is_no_file_does_not_block() {
    let no_file = "is no file";
    refused(&verdict("j", |_| {}, |dir| mkfifo(&dir.join("j"), Mode::S_IRWXU).expect("is made")), no_file);
    refused(&verdict("j", |dir| mkfifo(&dir.join("j"), Mode::S_IRWXU).expect("is made"), |_| {}), no_file);
    refused(&verdict("j", |_| {}, |dir| fs::create_dir(dir.join("j")).expect("is made")), no_file);
    refused(&verdict("j", |_| {}, |dir| drop(UnixListener::bind(dir.join("j")).expect("is made"))), no_file);
    refused(&verdict("j", |_| {}, |_| {}), "is missing");
    refused(&verdict("j/k", |_| {}, |dir| fs::write(dir.join("j"), "").expect("is made")), "is missing");
    refused(&verdict("j", |_| {}, |dir| symlink("j", dir.join("j")).expect("is made")), "cannot be opened");
    refused(&verdict("j", |_| {}, |dir| fs::write(dir.join("j"), "").expect("is made")), "it is empty");
    let large = |dir: &Path| File::create(dir.join("j")).and_then(|file| file.set_len(MAX_REPORT + 1));
    refused(&verdict("j", |_| {}, |dir| large(dir).expect("is made")), "is larger than 32 MiB");
}
