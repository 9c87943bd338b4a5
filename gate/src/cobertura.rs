//! Cobertura XML, as coverage.py, gcovr, coverlet, cargo-tarpaulin and others write it.
//!
//! The lines of classes count, joined for a file that has several; the sums at the root count only
//! where there are none. Tools that do not measure complexity write 0, which is not a measurement.

use std::collections::BTreeMap;

use sprint_core::gates::Metric;

use crate::lines::Places;
use crate::measured::{Measured, Tally};
use crate::paths::relative;
use crate::unreadable::Unreadable;
use crate::xml::{self, Element, Handler, number, parse};

/// Reads a report.
pub(crate) fn read(text: &str, root: &str) -> Result<Measured, Unreadable> {
    let mut cobertura = Cobertura { root, ..Cobertura::default() };
    xml::read(text, &mut cobertura)?;
    let Cobertura { root: _, file: _, files, sums } = cobertura;
    let mut measured = Measured::default();
    let mut detailed = false;
    for (file, File { lines, branches, complexity }) in files {
        detailed |= !lines.is_empty();
        let (part, whole) = lines.count();
        measured.add_of(Metric::Coverage, &file, Tally::Share { part, whole });
        let (part, whole) = branches.values().fold((0_u64, 0_u64), |(part, whole), (taken, all)| {
            (part.saturating_add(*taken), whole.saturating_add(*all))
        });
        measured.add_of(Metric::BranchCoverage, &file, Tally::Share { part, whole });
        if complexity > 0.0 {
            measured.add_of(Metric::Complexity, &file, Tally::Greatest(complexity));
        }
    }
    if !detailed {
        for (metric, (part, whole)) in [(Metric::Coverage, sums.lines), (Metric::BranchCoverage, sums.branches)] {
            if let (Some(part), Some(whole)) = (part, whole) {
                measured.add(metric, Tally::Share { part: part.min(whole), whole });
            }
        }
    }
    Ok(measured)
}

#[derive(Debug, Default)]
struct File {
    lines: Places<u64>,
    /// By line: how many ways out of it were taken, of how many.
    branches: BTreeMap<u64, (u64, u64)>,
    complexity: f64,
}

/// What the root says: how many are covered, and of how many.
#[derive(Debug, Default)]
struct Sums {
    lines: (Option<u64>, Option<u64>),
    branches: (Option<u64>, Option<u64>),
}

#[derive(Debug, Default)]
struct Cobertura<'a> {
    root: &'a str,
    /// The file of the present class.
    file: String,
    files: BTreeMap<String, File>,
    sums: Sums,
}

impl Handler for Cobertura<'_> {
    const FORM: &'static str = "Cobertura XML";
    const ROOTS: &'static [&'static str] = &["coverage"];

    fn open(&mut self, path: &[String], element: &Element) -> Result<(), Unreadable> {
        let (above, name) = match path {
            [.., above, name] => (above.as_str(), name.as_str()),
            [name] => ("", name.as_str()),
            [] => return Ok(()),
        };
        match (above, name) {
            ("", "coverage") => {
                let of = |name| number::<Self>(element, name);
                self.sums = Sums {
                    lines: (of("lines-covered")?, of("lines-valid")?),
                    branches: (of("branches-covered")?, of("branches-valid")?),
                };
            }
            (_, "class") => {
                let Some(file) = element.get("filename") else { return Err(lacks("a class has no filename")) };
                relative(self.root, file).clone_into(&mut self.file);
                let file = self.files.entry(self.file.clone()).or_default();
                file.complexity = file.complexity.max(complexity(element)?);
            }
            (_, "method") => {
                let complexity = complexity(element)?;
                if let Some(file) = self.files.get_mut(&self.file) {
                    file.complexity = file.complexity.max(complexity);
                }
            }
            // Those of methods are in their class as well.
            ("lines", "line") if path.iter().rev().nth(2).is_some_and(|name| name == "class") => self.line(element)?,
            _ => {}
        }
        Ok(())
    }
}

fn lacks(why: &str) -> Unreadable {
    Unreadable::Malformed { form: Cobertura::FORM, why: why.to_owned() }
}

fn complexity(element: &Element) -> Result<f64, Unreadable> {
    let Some(text) = element.get("complexity") else { return Ok(0.0) };
    // Java's tools write NaN where there is nothing to measure.
    if text.eq_ignore_ascii_case("nan") {
        return Ok(0.0);
    }
    text.parse::<f64>()
        .ok()
        .filter(|complexity| complexity.is_finite() && *complexity >= 0.0)
        .ok_or_else(|| lacks("a complexity is not a number"))
}

impl Cobertura<'_> {
    fn line(&mut self, element: &Element) -> Result<(), Unreadable> {
        let (Some(line), Some(hits)) = (number::<Self>(element, "number")?, number::<Self>(element, "hits")?) else {
            return Err(lacks("a line has no number or no hits"));
        };
        let Some(file) = self.files.get_mut(&self.file) else { return Ok(()) };
        file.lines.add(line, hits > 0);
        // As in "50% (1/2)".
        let counts = element.get("condition-coverage").and_then(|text| text.split_once('(')?.1.split_once(')'));
        if let Some((counts, _)) = counts {
            let (taken, all) = counts.split_once('/').ok_or_else(|| lacks("a condition-coverage has no counts"))?;
            let (taken, all) = (parse::<Self>("condition-coverage", taken)?, parse::<Self>("condition-coverage", all)?);
            let known = file.branches.entry(line).or_default();
            *known = (known.0.max(taken.min(all)), known.1.max(all));
        }
        Ok(())
    }
}
