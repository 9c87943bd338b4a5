//! The reports that a gate's command may leave behind, and what each of them measures.

use serde::{Deserialize, Serialize};

use crate::inner_path::InnerPath;

crate::words! {
    /// The form of a report.
    pub enum ReportKind as "kind of report" {
        /// JUnit XML, of tests.
        Junit => "junit",
        /// SARIF 2.1.0, of linters and scanners.
        Sarif => "sarif",
        /// LCOV, of coverage.
        Lcov => "lcov",
        /// Cobertura XML, of coverage.
        Cobertura => "cobertura",
        /// The mutation-testing report JSON of Stryker.
        Stryker => "stryker",
    }
}

crate::words! {
    /// What a threshold can be set on.
    pub enum Metric as "metric" {
        /// Tests that ran; a skipped one did not.
        Tests => "tests",
        Failures => "failures",
        /// Of tests: those that could not run to their end. Of linters: findings of this level.
        Errors => "errors",
        Skipped => "skipped",
        Warnings => "warnings",
        Notes => "notes",
        /// All levels together.
        Findings => "findings",
        /// By the tool's `security-severity`: 9 and more.
        Critical => "critical",
        /// 7 and more, below 9.
        High => "high",
        /// 4 and more, below 7.
        Medium => "medium",
        /// Above 0, below 4.
        Low => "low",
        /// The greatest of any function.
        Complexity => "complexity",
        /// Lines that ran, of those that could.
        Coverage => "coverage",
        BranchCoverage => "branch_coverage",
        FunctionCoverage => "function_coverage",
        /// Mutants that the tests noticed, of those that they could have.
        Mutation => "mutation",
        /// Mutants that no test noticed.
        Survived => "survived",
        /// Mutants that the tests noticed or could have.
        Mutants => "mutants",
    }
}

/// What a metric's figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 100.
    Percent,
    /// A whole number.
    Count,
    /// Any number from 0.
    Score,
}

impl Metric {
    pub const fn unit(self) -> Unit {
        match self {
            Self::Coverage | Self::BranchCoverage | Self::FunctionCoverage | Self::Mutation => Unit::Percent,
            Self::Complexity => Unit::Score,
            Self::Tests
            | Self::Failures
            | Self::Errors
            | Self::Skipped
            | Self::Warnings
            | Self::Notes
            | Self::Findings
            | Self::Critical
            | Self::High
            | Self::Medium
            | Self::Low
            | Self::Survived
            | Self::Mutants => Unit::Count,
        }
    }

    /// As a sentence begins with it: `Branch coverage`.
    pub fn title(self) -> String {
        let mut title = self.as_str().replace('_', " ");
        title[..1].make_ascii_uppercase();
        title
    }
}

impl ReportKind {
    /// What a report of this kind can measure.
    pub const fn gives(self) -> &'static [Metric] {
        match self {
            Self::Junit => &[Metric::Tests, Metric::Failures, Metric::Errors, Metric::Skipped],
            Self::Sarif => &[
                Metric::Errors,
                Metric::Warnings,
                Metric::Notes,
                Metric::Findings,
                Metric::Critical,
                Metric::High,
                Metric::Medium,
                Metric::Low,
                Metric::Complexity,
            ],
            Self::Lcov => &[Metric::Coverage, Metric::BranchCoverage, Metric::FunctionCoverage],
            Self::Cobertura => &[Metric::Coverage, Metric::BranchCoverage, Metric::Complexity],
            Self::Stryker => &[Metric::Mutation, Metric::Survived, Metric::Mutants],
        }
    }
}

/// A report that a gate's command writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFile {
    pub kind: ReportKind,
    /// From the root of the repository; it stays within it.
    pub path: String,
}

/// The longest path that a report may have, in bytes.
const LONGEST: usize = 1024;

impl ReportFile {
    /// What is wrong with its path, if anything is.
    pub(super) fn wrong_path(&self) -> Option<String> {
        let path = self.path.as_str();
        let plain: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if path.trim().is_empty() {
            Some("it is empty".to_owned())
        } else if path.len() > LONGEST {
            Some(format!("it is longer than {LONGEST} bytes"))
        } else if path.contains(char::is_control) {
            Some("it has a control character".to_owned())
        } else if path.starts_with('/') {
            Some("it is absolute".to_owned())
        } else if plain.contains(&"..") {
            Some("it leads out of the repository".to_owned())
        } else if plain.is_empty() || path.ends_with('/') {
            Some("it names a directory".to_owned())
        } else {
            InnerPath::new(plain.join("/").as_bytes()).err().map(|error| error.to_string())
        }
    }
}
