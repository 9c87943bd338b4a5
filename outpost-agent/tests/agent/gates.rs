//! Gates that are judged by the reports which their commands write.

use sprint_core::assignment::{Assignment, GateRunOutcome, Outcome};
use sprint_core::gates::{Gate, GateOutcome, Metric, ReportFile, ReportKind};

use crate::support::{Site, refused};

const JUNIT: &str = "printf '<testsuite><testcase classname=\"a\" name=\"b\"/></testsuite>' > j.xml";

/// A gate run whose last gate writes reports and requires something of them.
fn gates(
    site: &Site,
    worker: u64,
    commands: &[(&str, &str)],
    reports: &[(ReportKind, &str)],
    require: &[&str],
) -> Assignment {
    let mut assignment = site.gates(worker, commands);
    let last = assignment.gates.last_mut().expect("a gate");
    *last = Gate {
        report: reports.iter().map(|(kind, path)| ReportFile { kind: *kind, path: (*path).to_owned() }).collect(),
        require: require.iter().map(|text| text.parse().expect("a threshold")).collect(),
        ..last.clone()
    };
    assignment
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_judged_by_their_report() {
    let site = Site::start(&[]).await;
    let junit = [(ReportKind::Junit, "j.xml")];
    let failing = "printf '<testsuite><testcase classname=\"a\" name=\"b\" file=\"a.py\" line=\"3\"><failure message=\"no\"/></testcase></testsuite>' > j.xml";
    let run = |worker, run: &str| gates(&site, worker, &[("test", run)], &junit, &[]);
    let good = site.assign(run(71, JUNIT)).await;
    // A wrapper that swallows the exit code does not swallow the failure.
    let bad = site.assign(run(72, failing)).await;
    let both = site.assign(run(73, &format!("{failing}; exit 1"))).await;
    let none = site.assign(run(74, "echo '<testsuites/>' > j.xml")).await;

    let outcome = site.finished(good).await.outcome;
    assert_eq!(refused(&outcome), (GateOutcome::Passed, ""));
    let Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) = &outcome else { panic!("{outcome:?}") };
    assert!(verdicts[0].metrics[&Metric::Tests] > 0.0);

    let finished = site.finished(bad).await;
    assert_eq!(finished.exit_code, Some(0));
    assert_eq!(refused(&finished.outcome), (GateOutcome::Failed, "gate \"test\": Failures 1 > 0; in a b"));
    let Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) = &finished.outcome else { panic!("{finished:?}") };
    assert_eq!(verdicts[0].findings[0].to_string(), "a.py:3: a b: no");
    // The terminal shows it, too.
    site.logged(bad, "gate \"test\": Failures 1 > 0").await;

    let outcome = site.finished(both).await.outcome;
    let why = "gate \"test\" failed with exit code 1: Failures 1 > 0; in a b";
    assert_eq!(refused(&outcome), (GateOutcome::Failed, why));
    let outcome = site.finished(none).await.outcome;
    assert!(refused(&outcome).1.starts_with("gate \"test\": no test ran"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_this_run_has_not_written_is_none() {
    let site = Site::start(&[]).await;
    let junit = [(ReportKind::Junit, "j.xml")];
    let missing = site.assign(gates(&site, 81, &[("test", "true")], &junit, &[])).await;
    // Written by the gate before it.
    let stale =
        site.assign(gates(&site, 82, &[("build", JUNIT), ("test", "touch -d tomorrow x; true")], &junit, &[])).await;
    // Committed to the repository.
    let committed = [(ReportKind::Lcov, "README")];
    let committed = site.assign(gates(&site, 83, &[("cover", "true")], &committed, &[])).await;
    let half = site.assign(gates(&site, 84, &[("test", "echo '<testsuite>' > j.xml")], &junit, &[])).await;
    let pipe = site.assign(gates(&site, 85, &[("test", "mkfifo j.xml")], &junit, &[])).await;
    let outside = format!("{JUNIT}; mv j.xml \"$SPRINT_ARTIFACTS\"; ln -s \"$SPRINT_ARTIFACTS/j.xml\" j.xml");
    let outside = site.assign(gates(&site, 86, &[("test", &outside)], &junit, &[])).await;

    for (worker, why) in [
        (missing, "gate \"test\": the report j.xml is missing; the command must write it"),
        (stale, "gate \"test\": the report j.xml is older than this run"),
        (committed, "gate \"cover\": the report README is older than this run"),
        (half, "gate \"test\": the report j.xml cannot be used: it ends in the middle"),
        (pipe, "gate \"test\": the report j.xml is no file"),
        (outside, "gate \"test\": the report j.xml leads out of the workspace"),
    ] {
        let outcome = site.finished(worker).await.outcome;
        let (outcome, reason) = refused(&outcome);
        assert!(outcome == GateOutcome::Failed && reason.starts_with(why), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_stops_the_gates_that_would_follow() {
    let site = Site::start(&[]).await;
    let lcov = "printf 'SF:%s/src/a.rs\\nDA:1,1\\nDA:2,0\\nend_of_record\\nSF:b.rs\\nDA:1,1\\nend_of_record\\n' \"$PWD\" > c.info";
    let reports = [(ReportKind::Lcov, "c.info")];
    let met = site.assign(gates(&site, 91, &[("cover", lcov)], &reports, &["coverage >= 66.6"])).await;
    let mut missed = gates(&site, 92, &[("lint", "true"), ("cover", lcov)], &reports, &["coverage >= 80"]);
    let later = site.gates(92, &[("late", "echo it ran")]);
    missed.steps.extend(later.steps);
    missed.gates.extend(later.gates);
    let missed = site.assign(missed).await;

    assert_eq!(refused(&site.finished(met).await.outcome), (GateOutcome::Passed, ""));
    let finished = site.finished(missed).await;
    let why = "gate \"cover\": Coverage 66.66% < 80%; worst: src/a.rs 50%";
    assert_eq!(refused(&finished.outcome), (GateOutcome::Failed, why));
    let Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) = &finished.outcome else { panic!("{finished:?}") };
    assert_eq!((verdicts.len(), finished.steps.len()), (2, 2), "the third did not run");
}
