//! The result of a gate's run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bounds::{NAMED_PATH, REASON, cut};

use super::Gate;
use super::report::Metric;

/// The most findings that a verdict keeps.
pub const MAX_FINDINGS: usize = 50;
/// The longest message of a finding, and the longest name of its file, in characters.
const MAX_MESSAGE: usize = 300;
const MAX_FILE: usize = 200;

crate::words! {
    /// How a gate's run ended.
    pub enum GateOutcome as "gate outcome" {
        Passed => "passed",
        Failed => "failed",
        TimedOut => "timed_out",
        /// The command is not on this outpost: the shell's exit code 127.
        NotFound => "not_found",
    }
}

crate::words! {
    /// How grave a finding is.
    pub enum FindingLevel as "finding level" {
        Error => "error",
        Warning => "warning",
        Note => "note",
    }
}

/// One problem that a report names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// From the root of the repository where the report says so; empty when it names none.
    pub file: String,
    pub line: Option<u32>,
    pub level: FindingLevel,
    pub message: String,
}

/// The result of a gate's run, and its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateVerdict {
    pub gate: String,
    pub outcome: GateOutcome,
    /// A sentence that names the gate; empty when it passed.
    pub reason: String,
    /// What its reports measured; percentages from 0 to 100.
    pub metrics: BTreeMap<Metric, f64>,
    /// The gravest first, at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    pub duration_ms: u64,
}

/// The result of a list of verdicts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Settled<'a> {
    /// There is a verdict for each gate, and each passed.
    Passed,
    /// The first that did not.
    NotPassed(&'a GateVerdict),
    /// There is no verdict on this gate, or on no gate at all: not a pass, and no change's fault.
    Unjudged(&'a str),
}

/// Holds verdicts against the gates that they are to be for, in the same order.
pub fn settle<'a>(gates: &'a [Gate], verdicts: &'a [GateVerdict]) -> Settled<'a> {
    for (number, gate) in gates.iter().enumerate() {
        match verdicts.get(number).filter(|verdict| verdict.gate == gate.name) {
            Some(verdict) if verdict.outcome == GateOutcome::Passed => {}
            Some(verdict) => return Settled::NotPassed(verdict),
            None => return Settled::Unjudged(&gate.name),
        }
    }
    if gates.is_empty() { Settled::Unjudged("") } else { Settled::Passed }
}

impl GateVerdict {
    /// Cuts what a worker could make long.
    pub(crate) fn shorten(&mut self) {
        let Self { gate, outcome: _, reason, metrics: _, findings, duration_ms: _ } = self;
        *gate = cut(gate, NAMED_PATH);
        *reason = cut(reason, REASON);
        findings.truncate(MAX_FINDINGS);
        for Finding { file, line: _, level: _, message } in findings {
            *file = plain(file, MAX_FILE);
            *message = plain(message, MAX_MESSAGE);
        }
    }
}

impl Finding {
    /// A finding that is short enough to be kept, on one line, and that no terminal obeys.
    pub fn new(file: &str, line: Option<u32>, level: FindingLevel, message: &str) -> Self {
        Self { file: plain(file, MAX_FILE), line, level, message: plain(message, MAX_MESSAGE) }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (file, Some(line)) => write!(f, "{file}:{line}: {}", self.message),
            (file, None) => write!(f, "{file}: {}", self.message),
        }
    }
}

/// A text on one line, at most so many characters long, without control and direction characters.
pub fn plain(text: &str, longest: usize) -> String {
    let hidden = |character: char| {
        character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut plain = String::new();
    let mut count = 0;
    for word in text.split(|character: char| character.is_whitespace() || hidden(character)) {
        if word.is_empty() {
            continue;
        }
        if count > 0 {
            plain.push(' ');
            count += 1;
        }
        for character in word.chars() {
            if count >= longest {
                plain.push('…');
                return plain;
            }
            plain.push(character);
            count += 1;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::verdict;

    #[test]
    fn gates_have_passed_only_with_a_good_verdict_on_each() {
        let gates = [Gate::new("lint", "true"), Gate::new("test", "true")];
        let [lint, test] = gates.each_ref().map(|gate| verdict(gate, GateOutcome::Passed));
        assert_eq!(settle(&gates, &[lint.clone(), test.clone()]), Settled::Passed);
        assert_eq!(settle(&gates, std::slice::from_ref(&lint)), Settled::Unjudged("test"));
        assert_eq!(settle(&gates, &[test, lint.clone()]), Settled::Unjudged("lint"));
        assert_eq!(settle(&gates, &[]), Settled::Unjudged("lint"));
        assert_eq!(settle(&[], &[]), Settled::Unjudged(""));
        for outcome in [GateOutcome::Failed, GateOutcome::TimedOut, GateOutcome::NotFound] {
            let bad = verdict(&gates[1], outcome);
            assert_eq!(settle(&gates, &[lint.clone(), bad.clone()]), Settled::NotPassed(&bad));
        }
    }

    #[test]
    fn a_finding_is_one_short_line_that_no_terminal_obeys() {
        let finding = Finding::new("src/a.rs", Some(3), FindingLevel::Error, "\u{1b}[31mred\n\n  and\tso on\u{202e}");
        assert_eq!(finding.to_string(), "src/a.rs:3: [31mred and so on");
        let long = Finding::new("", None, FindingLevel::Note, &"é".repeat(1000));
        assert_eq!(long.message.chars().count(), MAX_MESSAGE + 1);
        assert_eq!(Finding::new("a", None, FindingLevel::Note, "b").to_string(), "a: b");
    }
}
