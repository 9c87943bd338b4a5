//! Reading a report of any kind.

use sprint_core::gates::ReportKind;

use crate::measured::Measured;
use crate::unreadable::Unreadable;
use crate::{cobertura, junit, lcov, sarif, stryker};

/// The largest report that is read, in bytes.
pub const MAX_REPORT: u64 = 32 * 1024 * 1024;

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
