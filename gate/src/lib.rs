//! Gates judged: what their commands and reports say, held against what is required of them.
//!
//! Pure: whoever ran the gate hands in how its command ended and the bytes of its reports.
//! Those bytes come from code under test and are not trusted; whatever cannot be read whole
//! is not a pass.

mod cobertura;
mod findings;
mod judge;
mod junit;
mod lcov;
mod lines;
mod measured;
mod sarif;
mod stryker;
mod xml;

use sprint_core::gates::ReportKind;
use thiserror::Error;

pub use judge::{Reading, judge};
pub use measured::{Measured, Tally};

/// The largest report that is read, in bytes.
pub const MAX_REPORT: u64 = 32 * 1024 * 1024;

/// Why a report is not one. The text goes on after "the report …": `it ends in the middle`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("it is empty")]
    Empty,
    #[error("it ends in the middle")]
    Truncated,
    #[error("it is not UTF-8")]
    NotText,
    #[error("it is not {form}: {why}")]
    Malformed { form: &'static str, why: String },
    #[error("it is not {form}: its root is <{root}>")]
    OtherRoot { form: &'static str, root: String },
    #[error("it is nested more than {0} deep")]
    TooDeep(usize),
    #[error("an element of it has more than {0} attributes")]
    TooWide(usize),
    #[error("it defines entities of its own")]
    Entities,
    #[error("{0}")]
    Incomplete(&'static str),
}

/// Reads a report. `root` is the workspace's absolute path, by which files are named.
///
/// # Errors
/// [`Unreadable`]; what is half a report is none.
pub fn read(kind: ReportKind, bytes: &[u8], root: &str) -> Result<Measured, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        Some(_) => Unreadable::NotText,
        None => Unreadable::Truncated,
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let mut measured = match kind {
        ReportKind::Junit => junit::read(text, root),
        ReportKind::Sarif => sarif::read(text, root),
        ReportKind::Lcov => lcov::read(text, root),
        ReportKind::Cobertura => cobertura::read(text, root),
        ReportKind::Stryker => stryker::read(text, root),
    }?;
    measured.keep_worst();
    Ok(measured)
}

/// Why a JSON report is not one.
fn not_json(form: &'static str, error: &serde_json::Error) -> Unreadable {
    if error.is_eof() { Unreadable::Truncated } else { Unreadable::Malformed { form, why: error.to_string() } }
}

/// A file's name from the root of the repository, if it is below it.
fn relative<'a>(root: &str, name: &'a str) -> &'a str {
    let name = name.strip_prefix("file://").unwrap_or(name);
    let below = name.strip_prefix(root).filter(|_| !root.is_empty()).and_then(|rest| rest.strip_prefix('/'));
    let name = below.unwrap_or(name);
    name.strip_prefix("./").unwrap_or(name)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
