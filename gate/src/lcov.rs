//! LCOV, as lcov, cargo-llvm-cov, coverage.py, c8 and others write it.
//!
//! The records of single lines, branches and functions count, joined for a file that has several
//! sections; the sums that tools write beside them count only where there are no such records.

use std::collections::BTreeMap;

use sprint_core::gates::{Metric, plain};

use crate::lines::Places;
use crate::measured::{Measured, Tally};
use crate::paths::relative;
use crate::unreadable::Unreadable;

const FORM: &str = "LCOV";

/// What is known of one source file.
#[derive(Debug, Default)]
struct Source<'a> {
    lines: Section<u32>,
    branches: Section<(u32, &'a str)>,
    functions: Section<&'a str>,
}

/// Places, and the sum that stands beside them.
#[derive(Debug)]
struct Section<K> {
    places: Places<K>,
    ran: u64,
    all: u64,
}

impl<K> Default for Section<K> {
    fn default() -> Self {
        Self { places: Places::default(), ran: 0, all: 0 }
    }
}

impl<K: Ord> Section<K> {
    fn tally(self) -> Tally {
        let (part, whole) = if self.places.is_empty() { (self.ran, self.all) } else { self.places.count() };
        Tally::Share { part: part.min(whole), whole }
    }
}

/// Reads a report.
pub(crate) fn read(text: &str, root: &str) -> Result<Measured, Unreadable> {
    let mut sources: BTreeMap<&str, Source<'_>> = BTreeMap::new();
    let mut open: Option<&str> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line == "end_of_record" {
            open.take().ok_or_else(|| malformed("a record ends that did not begin", line))?;
            continue;
        }
        let (key, value) = line.split_once(':').ok_or_else(|| malformed("this line says nothing", line))?;
        match (key, open) {
            ("SF", None) => {
                open = Some(value);
                sources.entry(value).or_default();
            }
            ("SF", Some(_)) => return Err(malformed("a record begins in the middle of another", line)),
            (_, None) => {}
            (_, Some(file)) => {
                let source = sources.entry(file).or_default();
                source.take(key, value).ok_or_else(|| malformed("this line cannot be read", line))?;
            }
        }
    }
    if open.is_some() {
        return Err(Unreadable::Truncated);
    }
    if sources.is_empty() {
        return Err(Unreadable::Incomplete("it names no source file"));
    }
    let mut measured = Measured::default();
    for (file, Source { lines, branches, functions }) in sources {
        let file = relative(root, file);
        measured.add_of(Metric::Coverage, file, lines.tally());
        measured.add_of(Metric::BranchCoverage, file, branches.tally());
        measured.add_of(Metric::FunctionCoverage, file, functions.tally());
    }
    Ok(measured)
}

fn malformed(why: &str, line: &str) -> Unreadable {
    Unreadable::Malformed { form: FORM, why: format!("{why}: {:?}", plain(line, 60)) }
}

impl<'a> Source<'a> {
    /// Takes a line; none when it cannot be read. What is unknown is left alone, as by lcov itself.
    fn take(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "DA" => {
                let mut parts = value.split(',');
                let line = parts.next()?.parse().ok()?;
                self.lines.places.add(line, hits(parts.next()?)? > 0);
            }
            "BRDA" => {
                let (line, rest) = value.split_once(',')?;
                // The middle is any text.
                let (branch, taken) = rest.rsplit_once(',')?;
                let ran = taken != "-" && hits(taken)? > 0;
                self.branches.places.add((line.parse().ok()?, branch), ran);
            }
            "FNDA" => {
                let (count, name) = value.split_once(',')?;
                self.functions.places.add(name, hits(count)? > 0);
            }
            // One that never ran may have no FNDA.
            "FN" => {
                let (_, rest) = value.split_once(',')?;
                let name = match rest.split_once(',') {
                    Some((end, name)) if end.bytes().all(|byte| byte.is_ascii_digit()) => name,
                    Some(_) | None => rest,
                };
                self.functions.places.add(name, false);
            }
            "FNA" => {
                let mut parts = value.splitn(3, ',');
                parts.next()?;
                let count = hits(parts.next()?)?;
                self.functions.places.add(parts.next()?, count > 0);
            }
            "LF" => self.lines.all = self.lines.all.saturating_add(value.parse().ok()?),
            "LH" => self.lines.ran = self.lines.ran.saturating_add(value.parse().ok()?),
            "BRF" => self.branches.all = self.branches.all.saturating_add(value.parse().ok()?),
            "BRH" => self.branches.ran = self.branches.ran.saturating_add(value.parse().ok()?),
            "FNF" => self.functions.all = self.functions.all.saturating_add(value.parse().ok()?),
            "FNH" => self.functions.ran = self.functions.ran.saturating_add(value.parse().ok()?),
            _ => {}
        }
        Some(())
    }
}

/// How often something ran; beyond all numbers is often.
fn hits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}
