//! JUnit XML, as pytest, cargo-nextest, gotestsum, Jest, Gradle and others write it.
//!
//! It has no standard. What counts are the test cases that are there; where a suite claims more
//! failures or errors than its cases show (a suite that could not start, say), the claim counts.

use sprint_core::gates::{FindingLevel, Metric, plain};

use crate::measured::{Measured, Tally};
use crate::paths::relative;
use crate::unreadable::Unreadable;
use crate::xml::{self, Element, Handler, number};

/// The most bytes of a failure's text that are read.
const TEXT: usize = 8 * 1024;

/// Reads a report.
pub(crate) fn read(text: &str, root: &str) -> Result<Measured, Unreadable> {
    let mut junit = Junit { root, measured: Measured::default(), suites: vec![], case: None, whole: Counts::default() };
    xml::read(text, &mut junit)?;
    let Junit { mut measured, whole, .. } = junit;
    for (metric, count) in [
        (Metric::Tests, whole.tests),
        (Metric::Failures, whole.failures),
        (Metric::Errors, whole.errors),
        (Metric::Skipped, whole.skipped),
    ] {
        measured.add(metric, Tally::Count(count));
    }
    Ok(measured)
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
}

/// A suite that is being read.
#[derive(Debug, Default)]
struct Suite {
    claimed: Counts,
    counted: Counts,
}

/// A test case that is being read.
#[derive(Debug, Default)]
struct Case {
    name: String,
    file: Option<String>,
    line: Option<u32>,
    failed: bool,
    errored: bool,
    skipped: bool,
    /// What the first failure says, in its attribute and in its text.
    message: String,
    text: String,
}

#[derive(Debug)]
struct Junit<'a> {
    root: &'a str,
    measured: Measured,
    suites: Vec<Suite>,
    case: Option<Case>,
    whole: Counts,
}

impl Handler for Junit<'_> {
    const FORM: &'static str = "JUnit XML";
    const ROOTS: &'static [&'static str] = &["testsuites", "testsuite"];

    fn open(&mut self, path: &[String], element: &Element) -> Result<(), Unreadable> {
        let [above @ .., name] = path else { return Ok(()) };
        match (name.as_str(), &mut self.case) {
            ("testsuites" | "testsuite", None) => {
                let claimed = Counts {
                    failures: number::<Self>(element, "failures")?.unwrap_or(0),
                    errors: number::<Self>(element, "errors")?.unwrap_or(0),
                    ..Counts::default()
                };
                self.suites.push(Suite { claimed, counted: Counts::default() });
            }
            ("testcase", None) => {
                let name = [element.get("classname"), element.get("name")];
                let name = name.into_iter().flatten().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ");
                // As GoogleTest marks a test that did not run.
                let skipped = matches!(element.get("status"), Some("notrun" | "skipped" | "disabled"))
                    || matches!(element.get("result"), Some("skipped" | "suppressed"));
                self.case = Some(Case {
                    name: plain(&name, 200),
                    file: element.get("file").map(|file| relative(self.root, file).to_owned()),
                    line: element.get("line").and_then(|line| line.parse().ok()),
                    skipped,
                    ..Case::default()
                });
            }
            (kind @ ("failure" | "error"), Some(case)) if above.last().is_some_and(|above| above == "testcase") => {
                if !case.failed && !case.errored {
                    element.get("message").unwrap_or_default().clone_into(&mut case.message);
                }
                case.failed |= kind == "failure";
                case.errored |= kind == "error";
            }
            ("skipped", Some(case)) if above.last().is_some_and(|above| above == "testcase") => case.skipped = true,
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, path: &[String], text: &str) {
        let Some(case) = &mut self.case else { return };
        if path.last().is_some_and(|name| name == "failure" || name == "error") {
            let room = TEXT.saturating_sub(case.text.len());
            case.text.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    fn close(&mut self, path: &[String]) {
        match path.last().map(String::as_str) {
            Some("testcase") => {
                if let Some(case) = self.case.take() {
                    let counts = self.take(&case);
                    if let Some(suite) = self.suites.last_mut() {
                        suite.counted.add(counts);
                    }
                }
            }
            Some("testsuites" | "testsuite") if self.case.is_none() => {
                if let Some(Suite { claimed, mut counted }) = self.suites.pop() {
                    counted.failures = counted.failures.max(claimed.failures);
                    counted.errors = counted.errors.max(claimed.errors);
                    match self.suites.last_mut() {
                        Some(above) => above.counted.add(counted),
                        None => self.whole = counted,
                    }
                }
            }
            _ => {}
        }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        let Self { tests, failures, errors, skipped } = other;
        for (sum, more) in [
            (&mut self.tests, tests),
            (&mut self.failures, failures),
            (&mut self.errors, errors),
            (&mut self.skipped, skipped),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Junit<'_> {
    /// Counts a test case, and keeps what it says of its failure.
    fn take(&mut self, case: &Case) -> Counts {
        let bad = case.failed || case.errored;
        let skipped = case.skipped && !bad;
        for (metric, holds) in
            [(Metric::Failures, case.failed), (Metric::Errors, case.errored), (Metric::Skipped, skipped)]
        {
            if holds {
                self.measured.note(metric, &case.name, Tally::Count(1));
            }
        }
        if bad {
            let found = location(self.root, &case.message).or_else(|| location(self.root, &case.text));
            let (file, line) = match (&case.file, found) {
                (Some(file), Some((found, line))) if *file == found => (file.clone(), Some(line)),
                (Some(file), _) => (file.clone(), case.line),
                (None, Some((file, line))) => (file, Some(line)),
                (None, None) => (String::new(), None),
            };
            // Often the text begins with the message.
            let told = match (case.message.trim(), case.text.trim()) {
                (message, "") => message.to_owned(),
                (message, text) if text.starts_with(message) => text.to_owned(),
                (message, text) => format!("{message}; {text}"),
            };
            self.measured.findings.add(&file, line, FindingLevel::Error, &format!("{}: {told}", case.name));
        }
        Counts {
            tests: u64::from(!skipped),
            failures: u64::from(case.failed),
            errors: u64::from(case.errored),
            skipped: u64::from(skipped),
        }
    }
}

/// The first place in the repository that a text names as `path/file.ext:12`.
fn location(root: &str, text: &str) -> Option<(String, u32)> {
    let odd = |character: char| character.is_whitespace() || matches!(character, '(' | ')' | '"' | '\'' | '`' | ',');
    text.split(odd).find_map(|word| {
        let mut parts = word.split(':');
        let file = relative(root, parts.next()?);
        let line = parts.next()?.parse().ok().filter(|line| *line > 0)?;
        let (_, extension) = file.rsplit_once('.')?;
        let named = !extension.is_empty() && extension.chars().all(|character| character.is_ascii_alphanumeric());
        // An absolute path is another program's; a number with a dot is a version, or an address.
        let own = !file.starts_with('/') && file.chars().any(|character| character.is_ascii_alphabetic());
        (named && own).then(|| (file.to_owned(), line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_where_tools_write_it() {
        let at = |text: &str| location("/work", text).map(|(file, line)| format!("{file}:{line}"));
        for (text, place) in [
            ("thread 'x' panicked at src/lib.rs:8:34", Some("src/lib.rs:8")),
            ("\n    shop_test.go:12: got 3", Some("shop_test.go:12")),
            ("E  assert\n\ntest_shop.py:11: AssertionError", Some("test_shop.py:11")),
            ("at Object.<anonymous> (/work/a/b.test.js:3:5)", Some("a/b.test.js:3")),
            ("at /usr/lib/x.so:12", None),
            ("connect 127.0.0.1:8080 refused", None),
            ("at 12:30:01 it broke", None),
            ("", None),
        ] {
            assert_eq!(at(text).as_deref(), place, "{text}");
        }
    }
}
