//! The mutation-testing report, as Stryker for JavaScript, .NET and Scala and others write it.

use std::collections::BTreeMap;

use serde::Deserialize;
use sprint_core::gates::{FindingLevel, Metric};

use crate::measured::{Measured, Tally};
use crate::paths::relative;
use crate::unreadable::{Unreadable, not_json};

#[derive(Deserialize)]
struct Report {
    files: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct File {
    mutants: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mutant {
    status: Status,
    mutator_name: Option<String>,
    replacement: Option<String>,
    location: Option<Location>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum Status {
    Killed,
    Survived,
    NoCoverage,
    CompileError,
    RuntimeError,
    Timeout,
    Ignored,
    Pending,
}

#[derive(Deserialize)]
struct Location {
    start: Position,
}

#[derive(Deserialize)]
struct Position {
    line: u32,
}

/// Reads a report. The score is that of Stryker: what was noticed, of what could have been.
pub(crate) fn read(text: &str, root: &str) -> Result<Measured, Unreadable> {
    let report: Report = serde_json::from_str(text)
        .map_err(|error| not_json("a mutation-testing report of Stryker's schema", &error))?;
    let mut measured = Measured::default();
    for metric in [Metric::Survived, Metric::Mutants] {
        measured.add(metric, Tally::Count(0));
    }
    for (file, File { mutants }) in report.files {
        let file = relative(root, &file);
        for Mutant { status, mutator_name, replacement, location } in mutants {
            let noticed = match status {
                Status::Killed | Status::Timeout => true,
                Status::Survived | Status::NoCoverage => false,
                Status::CompileError | Status::RuntimeError | Status::Ignored => continue,
                Status::Pending => return Err(Unreadable::Incomplete("a mutant in it was not tested yet")),
            };
            measured.add(Metric::Mutants, Tally::Count(1));
            measured.add_of(Metric::Mutation, file, Tally::Share { part: u64::from(noticed), whole: 1 });
            if !noticed {
                measured.add_of(Metric::Survived, file, Tally::Count(1));
                let line = location.map(|location| location.start.line);
                let covered = if status == Status::NoCoverage { "no test runs" } else { "no test notices" };
                let what = mutator_name.unwrap_or_else(|| "a mutant".to_owned());
                let into = replacement.map(|text| format!(": {text}")).unwrap_or_default();
                measured.findings.add(file, line, FindingLevel::Warning, &format!("{covered} {what}{into}"));
            }
        }
    }
    Ok(measured)
}
