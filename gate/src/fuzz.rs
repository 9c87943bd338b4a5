//! Whatever code under test writes for a report: it is read whole, or is not a pass.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;
use sprint_core::assignment::CommandResult;
use sprint_core::fuzz::bytes;
use sprint_core::gates::{Gate, GateOutcome, MAX_FINDINGS, Metric, ReportFile};

use sprint_core::gates::ReportKind;

use super::*;

fn reports() -> Vec<Vec<u8>> {
    [
        include_str!("../fixtures/pytest.xml"),
        include_str!("../fixtures/gtest.xml"),
        include_str!("../fixtures/trivy.sarif"),
        include_str!("../fixtures/coverage-py.info"),
        include_str!("../fixtures/jacoco-cobertura.xml"),
        include_str!("../fixtures/stryker.json"),
        "<testsuites><testsuite tests=\"1\"><testcase name=\"a\" classname=\"b\"/></testsuite></testsuites>",
        "SF:a\nFN:1,a\nFNA:0,3,a\nFNDA:1,a\nBRDA:1,0,0,-\nDA:1,1\nLF:1\nLH:1\nend_of_record\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn ended_well() -> CommandResult {
    CommandResult { name: "x".to_owned(), exit_code: Some(0), signal: None, timed_out: false, duration_ms: 1 }
}

proptest! {
    /// No report stops the judge, and what it says of one is within bounds.
    #[test]
    fn fuzz_any_report_is_measured_or_refused(content in bytes(reports()), kind in select(ReportKind::ALL)) {
        let Ok(measured) = read(kind, &content, "/work") else { return Ok(()) };
        for (metric, figure) in measured.metrics() {
            prop_assert!(kind.gives().contains(&metric), "{kind} gives {metric}");
            prop_assert!(figure.is_finite() && figure >= 0.0, "{metric} {figure}");
            let percent = metric.unit() == sprint_core::gates::Unit::Percent;
            prop_assert!(!percent || figure <= 100.0, "{metric} {figure}");
        }
    }

    /// A gate passes only if what it requires was measured and holds.
    #[test]
    fn fuzz_no_report_passes_what_it_does_not_show(
        content in bytes(reports()),
        kind in select(ReportKind::ALL),
        metric in any::<proptest::sample::Index>(),
    ) {
        let metric: Metric = *metric.get(kind.gives());
        let require = format!("{metric} > 50").parse().expect("a threshold");
        let report = ReportFile { kind, path: "r".to_owned() };
        let gate = Gate { report: vec![report], require: vec![require], ..Gate::new("x", "true") };
        let verdict = judge(&gate, &ended_well(), &[Reading::Found(content.clone())], "/work");
        let shown = read(kind, &content, "/work").ok().and_then(|measured| measured.metrics().get(&metric).copied());
        if verdict.outcome == GateOutcome::Passed {
            prop_assert!(shown.is_some_and(|figure| figure > 50.0));
            prop_assert!(verdict.reason.is_empty());
        } else {
            prop_assert!(!verdict.reason.is_empty() && verdict.reason.len() < 8 * 1024);
            prop_assert!(!verdict.reason.contains('\n'));
        }
        prop_assert!(verdict.findings.len() <= MAX_FINDINGS);
        prop_assert!(verdict.findings.iter().all(|finding| finding.message.len() < 2048 && finding.file.len() < 2048));
    }

    /// A report that was cut anywhere is not a pass; a line-based one may be cut between its records.
    #[test]
    fn fuzz_half_a_report_is_none(
        (kind, whole) in select(vec![
            (ReportKind::Junit, include_str!("../fixtures/node.xml")),
            (ReportKind::Sarif, include_str!("../fixtures/trivy.sarif")),
            (ReportKind::Cobertura, include_str!("../fixtures/jacoco-cobertura.xml")),
            (ReportKind::Stryker, include_str!("../fixtures/stryker.json")),
        ]),
        at in any::<proptest::sample::Index>(),
    ) {
        let whole = whole.trim_end();
        let cut = &whole.as_bytes()[..at.index(whole.len())];
        prop_assert!(read(kind, cut, "/work").is_err());
    }

    /// Reports that are made to take long do not.
    #[test]
    fn fuzz_no_report_takes_long(
        (kind, open, repeated, close) in select(vec![
            (ReportKind::Junit, "<testsuite ", "a=\"\" ", "/>"),
            (ReportKind::Junit, "<testsuite>", "<a>", ""),
            (ReportKind::Junit, "<testsuite>", "<testcase name=\"a\"><failure>a.b:1", ""),
            (ReportKind::Junit, "<testsuite>", "<testcase name=\"a\"><failure>a.b:x </failure></testcase>", "</testsuite>"),
            (ReportKind::Junit, "<testsuite><testcase><failure>", "&lt;a.b:", "</failure></testcase></testsuite>"),
            (ReportKind::Sarif, "{\"version\":\"2.1.0\",\"runs\":", "[", ""),
            (ReportKind::Sarif, "{\"version\":\"2.1.0\",\"x\":", "{\"a\":", ""),
            (ReportKind::Sarif, "{\"runs\":[{\"results\":[{\"properties\":{\"complexity\":", "[", ""),
            (ReportKind::Stryker, "{\"files\":{\"a\":{\"mutants\":[", "{\"status\":\"Killed\"},", "{\"status\":\"Killed\"}]}}}"),
            (ReportKind::Lcov, "", "SF:a\nDA:1,1\nend_of_record\n", ""),
            (ReportKind::Lcov, "SF:a\n", "BRDA:1,0,0,-\n", "end_of_record\n"),
            (ReportKind::Cobertura, "<coverage>", "<class filename=\"a\"><lines><line number=\"1\" hits=\"1\"/></lines></class>", "</coverage>"),
        ]),
        times in 0..20_000_usize,
    ) {
        let text = [open, &repeated.repeat(times), close].concat();
        let began = Instant::now();
        let _ = read(kind, text.as_bytes(), "/work");
        prop_assert!(began.elapsed() < Duration::from_secs(10), "{}", open);
    }
}
