use sprint_core::assignment::CommandResult;
use sprint_core::gates::{Gate, GateOutcome, GateVerdict, Metric, ReportFile};

use sprint_core::gates::ReportKind;

use super::*;

/// Reports as tools wrote them, or write them.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name))
    };
}

fn metrics(kind: ReportKind, text: &str) -> Vec<(Metric, f64)> {
    let measured = read(kind, text.as_bytes(), "/work/shop").unwrap_or_else(|error| panic!("{error}"));
    measured.metrics().into_iter().collect()
}

fn refused(kind: ReportKind, text: &str) -> String {
    read(kind, text.as_bytes(), "/work").expect_err(text).to_string()
}

fn result(exit_code: i32) -> CommandResult {
    CommandResult { name: "x".to_owned(), exit_code: Some(exit_code), signal: None, timed_out: false, duration_ms: 7 }
}

fn gate(reports: &[ReportKind], require: &[&str]) -> Gate {
    let report = |kind: &ReportKind| ReportFile { kind: *kind, path: format!("out/{kind}") };
    let require = require.iter().map(|text| text.parse().expect("a threshold"));
    Gate { report: reports.iter().map(report).collect(), require: require.collect(), ..Gate::new("x", "true") }
}

fn judged(gate: &Gate, reports: &[&str]) -> GateVerdict {
    let readings: Vec<_> = reports.iter().map(|text| Reading::Found(text.as_bytes().to_vec())).collect();
    judge(gate, &result(0), &readings, "/work/shop")
}

/// The reason of a gate that succeeded as a command.
fn reason(kind: ReportKind, require: &[&str], text: &str) -> String {
    judged(&gate(&[kind], require), &[text]).reason
}

const PASSING: &str = r#"<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>"#;

#[test]
fn tests_are_counted_as_each_tool_reports_them() {
    use Metric::{Errors, Failures, Skipped, Tests};
    let count = |tests, failures, errors, skipped| {
        vec![(Tests, tests), (Failures, failures), (Errors, errors), (Skipped, skipped)]
    };
    for (text, counts) in [
        (fixture!("nextest.xml"), count(2.0, 1.0, 0.0, 0.0)),
        (fixture!("pytest.xml"), count(3.0, 1.0, 1.0, 1.0)),
        (fixture!("gotestsum.xml"), count(3.0, 1.0, 0.0, 1.0)),
        (fixture!("gtest.xml"), count(2.0, 1.0, 0.0, 1.0)),
        (fixture!("node.xml"), count(2.0, 0.0, 0.0, 0.0)),
        (PASSING, count(1.0, 0.0, 0.0, 0.0)),
    ] {
        assert_eq!(metrics(ReportKind::Junit, text), counts, "{text}");
    }
}

#[test]
fn a_failure_that_no_test_case_shows_counts_all_the_same() {
    let text = r#"<testsuites><testsuite name="a" tests="0" errors="1"/><testsuite failures="2"><testcase name="b"><failure/></testcase></testsuite></testsuites>"#;
    let found = metrics(ReportKind::Junit, text);
    assert_eq!(found, [(Metric::Tests, 1.0), (Metric::Failures, 2.0), (Metric::Errors, 1.0), (Metric::Skipped, 0.0)]);
}

#[test]
fn a_failed_test_is_found_with_its_file_and_line() {
    let found = |text| {
        let verdict = judged(&gate(&[ReportKind::Junit], &[]), &[text]);
        verdict.findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    insta::assert_debug_snapshot!([
        found(fixture!("nextest.xml")),
        found(fixture!("pytest.xml")),
        found(fixture!("gotestsum.xml")),
        found(fixture!("gtest.xml")),
    ]);
}

#[test]
fn a_run_without_a_test_or_with_a_failure_is_not_a_pass_unless_it_is_asked_for() {
    let junit = ReportKind::Junit;
    assert_eq!(reason(junit, &[], PASSING), "");
    for none in ["<testsuites/>", "<testsuite tests=\"9\"></testsuite>"] {
        assert!(reason(junit, &[], none).starts_with("gate \"x\": no test ran: the report out/junit has none"));
        // Not even a gate that asks for nothing passes.
        assert!(reason(junit, &["tests >= 0"], none).contains("no test ran"));
    }
    let skipped = r#"<testsuite><testcase name="b"><skipped/></testcase></testsuite>"#;
    assert!(reason(junit, &[], skipped).contains("no test ran (1 skipped)"));
    assert_eq!(
        reason(junit, &[], fixture!("pytest.xml")),
        "gate \"x\": Failures 1 > 0; in test_shop test_discount_is_taken. Errors 1 > 0; in test_shop test_till"
    );
    assert_eq!(reason(junit, &["failures <= 1", "errors <= 1"], fixture!("pytest.xml")), "");
    assert_eq!(
        reason(junit, &["failures <= 1", "errors <= 1", "tests > 3", "skipped = 0"], fixture!("pytest.xml")),
        "gate \"x\": Tests 3 <= 3. Skipped 1 > 0; in test_shop test_skipped"
    );
    // One of two reports is empty: its part was not tested.
    let two = judged(&gate(&[junit, junit], &[]), &[PASSING, "<testsuites/>"]);
    assert!(two.reason.contains("no test ran"), "{}", two.reason);
}

#[test]
fn findings_are_counted_as_each_tool_reports_them() {
    let sarif = ReportKind::Sarif;
    let of = |text, metric| metrics(sarif, text).into_iter().find(|(one, _)| *one == metric).map(|(_, figure)| figure);
    assert_eq!(of(fixture!("clippy.sarif"), Metric::Errors), Some(1.0));
    assert_eq!(of(fixture!("clippy.sarif"), Metric::Warnings), Some(1.0));
    assert_eq!(of(fixture!("clippy.sarif"), Metric::Critical), None, "clippy rates nothing");
    assert_eq!(of(fixture!("ruff.sarif"), Metric::Errors), Some(1.0));
    assert_eq!(of(fixture!("eslint.sarif"), Metric::Errors), Some(1.0));
    assert_eq!(of(fixture!("eslint.sarif"), Metric::Warnings), Some(1.0));
    let trivy = |metric| of(fixture!("trivy.sarif"), metric);
    assert_eq!(
        [trivy(Metric::Critical), trivy(Metric::High), trivy(Metric::Medium)],
        [Some(1.0), Some(0.0), Some(1.0)]
    );
    assert_eq!(
        [trivy(Metric::Errors), trivy(Metric::Warnings), trivy(Metric::Findings)],
        [Some(1.0), Some(1.0), Some(2.0)]
    );
}

#[test]
fn a_finding_names_file_and_line_and_a_threshold_names_the_files() {
    let sarif = ReportKind::Sarif;
    let verdict = judged(&gate(&[sarif], &["errors = 0", "warnings <= 3"]), &[fixture!("clippy.sarif")]);
    assert_eq!(verdict.reason, "gate \"x\": Errors 1 > 0; in src/till.rs");
    let found: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "src/till.rs:7: this loop never actually loops (clippy::never_loop)",
            "src/lib.rs:3: unneeded `return` statement (clippy::needless_return)"
        ]
    );
    assert_eq!(
        reason(sarif, &["critical = 0", "medium <= 1"], fixture!("trivy.sarif")),
        "gate \"x\": Critical 1 > 0; in pom.xml"
    );
    assert!(reason(sarif, &["critical = 0"], fixture!("clippy.sarif")).contains("does not measure critical"));
}

/// A log with one run.
fn sarif(run: &str) -> String {
    format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t"}}}},{run}}}]}}"#)
}

#[test]
fn a_clean_scan_passes_and_one_that_did_not_happen_does_not() {
    let kind = ReportKind::Sarif;
    let all = ["errors = 0", "critical = 0", "findings = 0"];
    assert_eq!(reason(kind, &all, &sarif(r#""results":[]"#)), "");
    for (run, why) in [
        (r#""results":null"#, "no results, not even an empty list"),
        (r#""columnKind":"x""#, "no results, not even an empty list"),
        (r#""results":[],"invocations":[{"executionSuccessful":false}]"#, "its own run failed"),
        (r#""results":[],"externalPropertyFileReferences":{"results":[{"location":{"uri":"a"}}]}"#, "in other files"),
    ] {
        assert!(reason(kind, &all, &sarif(run)).contains(why), "{run}");
    }
    assert!(reason(kind, &all, r#"{"version":"2.1.0","runs":[]}"#).contains("it has no run"));
    assert!(reason(kind, &all, r#"{"version":"2.0.0","runs":[]}"#).contains("its version is \"2.0.0\""));
}

#[test]
fn what_is_no_failure_does_not_count_and_the_worst_complexity_does() {
    let results = r#""results":[
        {"kind":"pass","level":"error"}, {"kind":"informational"}, {"baselineState":"absent","level":"error"},
        {"level":"error","suppressions":[{"kind":"inSource"}]},
        {"level":"error","suppressions":[{"kind":"inSource","status":"rejected"}]},
        {"level":"none","properties":{"complexity":17}}, {"level":"note","properties":{"complexity":"9.5"},
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"file:///work/shop/a.c"},"region":{"startLine":4}}}]}
    ]"#;
    let found = metrics(ReportKind::Sarif, &sarif(results));
    let expected = [
        (Metric::Errors, 1.0),
        (Metric::Warnings, 0.0),
        (Metric::Notes, 2.0),
        (Metric::Findings, 3.0),
        (Metric::Complexity, 17.0),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        reason(ReportKind::Sarif, &["complexity <= 9"], &sarif(results)),
        "gate \"x\": Complexity 17 > 9; worst: a.c 9.5"
    );
}

#[test]
fn coverage_is_read_from_lines_and_the_worst_files_are_named() {
    use Metric::{BranchCoverage, Coverage, FunctionCoverage};
    let lcov = ReportKind::Lcov;
    assert_eq!(metrics(lcov, fixture!("cargo-llvm-cov.info")), [(Coverage, 60.0), (FunctionCoverage, 200.0 / 3.0)]);
    let python = [(Coverage, 800.0 / 15.0), (BranchCoverage, 37.5), (FunctionCoverage, 200.0 / 3.0)];
    assert_eq!(metrics(lcov, fixture!("coverage-py.info")), python);
    // The same run by the same tool, in its other form.
    assert_eq!(metrics(ReportKind::Cobertura, fixture!("coverage-py.xml")), python[..2]);
    assert_eq!(
        reason(lcov, &["coverage >= 80", "branch_coverage >= 30"], fixture!("coverage-py.info")),
        "gate \"x\": Coverage 53.33% < 80%; worst: shop/unused.py 0%, shop/__init__.py 72.7%"
    );
    assert_eq!(
        reason(lcov, &["coverage >= 65"], fixture!("cargo-llvm-cov.info")),
        "gate \"x\": Coverage 60% < 65%; worst: src/lib.rs 50%"
    );
    assert_eq!(
        reason(lcov, &["branch_coverage >= 65"], fixture!("cargo-llvm-cov.info")),
        "gate \"x\": the report out/lcov does not measure branch_coverage, and \"branch_coverage >= 65%\" needs it; have the tool measure it"
    );
}

#[test]
fn a_file_with_two_records_is_one() {
    let text = "TN:a\nSF:a.c\nDA:1,0\nDA:2,1\nend_of_record\nTN:b\nSF:a.c\nDA:1,4\nDA:3,0\nend_of_record\n";
    assert_eq!(metrics(ReportKind::Lcov, text), [(Metric::Coverage, 200.0 / 3.0)]);
    let sums = "SF:a.c\nLF:10\nLH:9\nFNF:4\nFNH:1\nend_of_record\n";
    assert_eq!(metrics(ReportKind::Lcov, sums), [(Metric::Coverage, 90.0), (Metric::FunctionCoverage, 25.0)]);
    // Lines 4, 5, 9, 10 and 11 of one file that has two classes; its greatest method counts.
    let java = metrics(ReportKind::Cobertura, fixture!("jacoco-cobertura.xml"));
    assert_eq!(java, [(Metric::Complexity, 17.0), (Metric::Coverage, 60.0), (Metric::BranchCoverage, 50.0)]);
    let worst = reason(ReportKind::Cobertura, &["complexity <= 15"], fixture!("jacoco-cobertura.xml"));
    assert_eq!(worst, "gate \"x\": Complexity 17 > 15; worst: shop/Till.java 17");
    assert!(
        reason(ReportKind::Cobertura, &["complexity <= 15"], fixture!("coverage-py.xml")).contains("does not measure")
    );
    let sums = r#"<coverage lines-covered="3" lines-valid="4"/>"#;
    assert_eq!(metrics(ReportKind::Cobertura, sums), [(Metric::Coverage, 75.0)]);
}

/// A report of one file.
fn mutants(statuses: &[&str]) -> String {
    let mutant = |status: &&str| {
        format!(r#"{{"id":"1","status":"{status}","mutatorName":"M","location":{{"start":{{"line":3,"column":1}}}}}}"#)
    };
    let mutants = statuses.iter().map(mutant).collect::<Vec<_>>().join(",");
    format!(r#"{{"schemaVersion":"1","files":{{"src/a.js":{{"source":"","mutants":[{mutants}]}}}}}}"#)
}

#[test]
fn mutants_are_scored_as_stryker_scores_them() {
    let stryker = ReportKind::Stryker;
    let text = mutants(&["Killed", "Timeout", "Survived", "NoCoverage", "CompileError", "RuntimeError", "Ignored"]);
    assert_eq!(metrics(stryker, &text), [(Metric::Mutation, 50.0), (Metric::Survived, 2.0), (Metric::Mutants, 4.0)]);
    let verdict = judged(&gate(&[stryker], &["mutation >= 80"]), &[&text]);
    assert_eq!(verdict.reason, "gate \"x\": Mutation 50% < 80%; worst: src/a.js 50%");
    assert_eq!(verdict.findings[0].to_string(), "src/a.js:3: no test notices M");
    assert!(reason(stryker, &["mutation >= 0"], &mutants(&["Ignored"])).contains("does not measure mutation"));
    assert!(refused(stryker, &mutants(&["Killed", "Pending"])).contains("not tested yet"));
    assert!(refused(stryker, &mutants(&["Resurrected"])).contains("unknown variant"));
    let genuine = judged(&gate(&[stryker], &["mutation >= 99"]), &[fixture!("stryker.json")]);
    insta::assert_debug_snapshot!((genuine.metrics, genuine.reason, genuine.findings));
}

#[test]
fn what_cannot_be_read_whole_fails_closed_and_says_why() {
    use ReportKind::{Cobertura, Junit, Lcov, Sarif, Stryker};
    let deep = format!("<testsuite>{}", "<a>".repeat(200));
    let wide =
        format!("<testsuite {}/>", (0..200).map(|number| format!("a{number}=\"\"")).collect::<Vec<_>>().join(" "));
    for (kind, text, why) in [
        (Junit, "", "it is empty"),
        (Sarif, " \n\t", "it is empty"),
        (Lcov, "\u{feff}", "it is empty"),
        (Junit, "<testsuite><testcase name=\"a\"/>", "it ends in the middle"),
        (Junit, "<testsuite><testcase name=\"a", "it ends in the middle"),
        (Junit, "<testsuite><!-- ", "it ends in the middle"),
        (Sarif, r#"{"version":"2.1.0","ru"#, "it ends in the middle"),
        (Lcov, "SF:a.c\nDA:1,1\n", "it ends in the middle"),
        (Stryker, r#"{"files":{"a":{"mutants":["#, "it ends in the middle"),
        (Junit, "<testsuite></testsuites>", "it is not JUnit XML"),
        (Junit, "<html/>", "its root is <html>"),
        (Junit, "PASS", "there is text outside of its root"),
        (Junit, "<testsuite/><testsuite/>", "it has two roots"),
        (Junit, "<testsuite failures=\"many\"/>", "failures=\"many\" is not a number"),
        (Junit, "<testsuite>&oops;</testsuite>", "unknown entity &oops;"),
        (Junit, "<testsuite name=\"&oops;\"/>", "oops"),
        (Junit, "<!DOCTYPE a [<!ENTITY a \"&b;&b;\">]><testsuite name=\"&a;\"/>", "it defines entities of its own"),
        (Junit, &deep, "nested more than 100 deep"),
        (Junit, &wide, "more than 100 attributes"),
        (Cobertura, fixture!("pytest.xml"), "its root is <testsuites>"),
        (Cobertura, "<coverage><class/></coverage>", "a class has no filename"),
        (Lcov, "<coverage/>", "this line says nothing: \"<coverage/>\""),
        (Lcov, "SF:a.c\nDA:x,1\nend_of_record\n", "this line cannot be read: \"DA:x,1\""),
        (Lcov, "SF:a.c\nSF:b.c\nend_of_record\n", "a record begins in the middle"),
        (Lcov, "end_of_record\n", "a record ends that did not begin"),
        (Lcov, "TN:\n", "it names no source file"),
        (Sarif, "[]", "it is not SARIF 2.1.0"),
        (Sarif, "{} {}", "it is not SARIF 2.1.0"),
        (Stryker, "{}", "missing field `files`"),
    ] {
        let told = refused(kind, text);
        assert!(told.contains(why), "{kind} {text:?}: {told}");
    }
    assert_eq!(read(Junit, b"<testsuite name=\"\xff\"/>", "").expect_err("no text").to_string(), "it is not UTF-8");
    assert_eq!(read(Junit, b"<testsuite name=\"\xe2\x82", "").expect_err("no text"), Unreadable::Truncated);
}

#[test]
fn a_report_that_is_not_there_or_not_of_this_run_fails_closed_and_says_what_to_do() {
    let gate = gate(&[ReportKind::Lcov], &["coverage >= 1"]);
    for (reading, told) in [
        (Reading::Missing, "the report out/lcov is missing; the command must write it, from the repository's root"),
        (Reading::Stale, "the report out/lcov is older than this run; the command must write it in each run"),
        (Reading::TooLarge, "the report out/lcov is larger than 32 MiB; have the tool leave out what is not measured"),
        (Reading::Outside, "the report out/lcov leads out of the workspace; the command must write it inside"),
        (Reading::NotAFile, "the report out/lcov is no file; the command must write a plain file"),
        (
            Reading::Unreadable("Permission denied".to_owned()),
            "the report out/lcov cannot be opened: Permission denied",
        ),
        (
            Reading::Found(vec![]),
            "the report out/lcov cannot be used: it is empty; have the command write a whole lcov report",
        ),
    ] {
        let verdict = judge(&gate, &result(0), std::slice::from_ref(&reading), "/w");
        assert_eq!((verdict.outcome, verdict.reason), (GateOutcome::Failed, format!("gate \"x\": {told}")));
    }
    assert_eq!(judge(&gate, &result(0), &[], "/w").outcome, GateOutcome::Failed, "none was looked for");
    // A report is read even if nothing is required of it.
    let unasked = Gate { require: vec![], ..gate };
    assert_eq!(judge(&unasked, &result(0), &[Reading::Missing], "/w").outcome, GateOutcome::Failed);
}

#[test]
fn the_commands_own_end_goes_first() {
    let gate = gate(&[ReportKind::Junit], &[]);
    let judge = |result: CommandResult, text: &str| {
        let verdict = judge(&gate, &result, &[Reading::Found(text.as_bytes().to_vec())], "/w");
        (verdict.outcome, verdict.reason)
    };
    assert_eq!(judge(result(0), PASSING), (GateOutcome::Passed, String::new()));
    let failed = judge(result(1), PASSING);
    assert_eq!(failed, (GateOutcome::Failed, "gate \"x\" failed with exit code 1".to_owned()));
    let with_report = judge(result(100), fixture!("nextest.xml"));
    let why = "gate \"x\" failed with exit code 100: Failures 1 > 0; in shop tests::nothing_costs_nothing";
    assert_eq!(with_report, (GateOutcome::Failed, why.to_owned()));
    assert_eq!(judge(result(1), "").1, "gate \"x\" failed with exit code 1", "its report is not the cause");
    let gone = judge(result(127), PASSING);
    assert_eq!(gone, (GateOutcome::NotFound, "gate \"x\": command not found".to_owned()));
    let late = judge(CommandResult { timed_out: true, ..result(0) }, PASSING);
    assert_eq!(late, (GateOutcome::TimedOut, "gate \"x\" timed out after 30m".to_owned()));
    let killed = judge(CommandResult { exit_code: None, signal: Some(9), ..result(0) }, PASSING);
    assert_eq!(killed, (GateOutcome::Failed, "gate \"x\" was ended by signal 9".to_owned()));
    let unknown = judge(CommandResult { exit_code: None, ..result(0) }, PASSING);
    assert_eq!(unknown.0, GateOutcome::Failed);
}

#[test]
fn reports_of_one_gate_are_added_up() {
    let lcov = ReportKind::Lcov;
    let (one, other) = ("SF:a.c\nLF:10\nLH:10\nend_of_record\n", "SF:b.c\nLF:30\nLH:10\nend_of_record\n");
    let verdict = judged(&gate(&[lcov, lcov], &["coverage >= 80"]), &[one, other]);
    assert_eq!(verdict.reason, "gate \"x\": Coverage 50% < 80%; worst: b.c 33.3%");
    assert_eq!(verdict.duration_ms, 7);
}

#[test]
fn only_so_many_findings_are_kept_and_the_gravest_first() {
    let result = |level: &str| format!(r#"{{"level":"{level}","message":{{"text":"{level}"}}}}"#);
    let results: Vec<String> = (0..500).map(|number| result(if number < 470 { "note" } else { "error" })).collect();
    let text = sarif(&format!(r#""results":[{}]"#, results.join(",")));
    let verdict = judged(&gate(&[ReportKind::Sarif], &["errors = 0"]), &[&text]);
    assert_eq!(verdict.findings.len(), 50);
    let errors = verdict.findings.iter().filter(|finding| finding.message == "error").count();
    assert_eq!((errors, verdict.metrics[&Metric::Notes]), (30, 470.0));
}
