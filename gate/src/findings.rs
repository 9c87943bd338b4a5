//! The findings that are kept of a report: the gravest first, and not more than people read.

use sprint_core::gates::{Finding, FindingLevel, MAX_FINDINGS};

/// A bounded collection of findings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    notes: Vec<Finding>,
}

impl Findings {
    fn of(&mut self, level: FindingLevel) -> &mut Vec<Finding> {
        match level {
            FindingLevel::Error => &mut self.errors,
            FindingLevel::Warning => &mut self.warnings,
            FindingLevel::Note => &mut self.notes,
        }
    }

    /// Takes a finding unless there are enough of its level.
    pub(crate) fn add(&mut self, file: &str, line: Option<u32>, level: FindingLevel, message: &str) {
        let kept = self.of(level);
        if kept.len() < MAX_FINDINGS {
            kept.push(Finding::new(file, line, level, message));
        }
    }

    pub(crate) fn join(&mut self, other: Self) {
        let Self { errors, warnings, notes } = other;
        for finding in errors.into_iter().chain(warnings).chain(notes) {
            let kept = self.of(finding.level);
            if kept.len() < MAX_FINDINGS {
                kept.push(finding);
            }
        }
    }

    /// The gravest.
    pub(crate) fn into_gravest(self) -> Vec<Finding> {
        let Self { errors, warnings, notes } = self;
        errors.into_iter().chain(warnings).chain(notes).take(MAX_FINDINGS).collect()
    }
}
