//! The measurements of reports, before they are compared with thresholds.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use sprint_core::gates::{Metric, Unit};

use crate::findings::Findings;

/// The most files whose figures are kept for each metric.
const KEPT_FILES: usize = 20;

/// A figure that can be added to another of its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tally {
    Count(u64),
    /// A part of a whole.
    Share {
        part: u64,
        whole: u64,
    },
    Greatest(f64),
}

impl Tally {
    /// The figure; percentages are 0 to 100, and nothing of nothing is none.
    #[expect(clippy::cast_precision_loss, reason = "counts in a report are below 2^53")]
    pub fn figure(self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(count as f64),
            Self::Share { whole: 0, .. } => None,
            Self::Share { part, whole } => Some(100.0 * part as f64 / whole as f64),
            Self::Greatest(greatest) => Some(greatest).filter(|greatest| greatest.is_finite()),
        }
    }

    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count = count.saturating_add(more),
            (Self::Share { part, whole }, Self::Share { part: more, whole: of }) => {
                *part = part.saturating_add(more);
                *whole = whole.saturating_add(of);
            }
            (Self::Greatest(greatest), Self::Greatest(other)) => *greatest = greatest.max(other),
            // A metric has one kind of figure.
            (Self::Count(_) | Self::Share { .. } | Self::Greatest(_), _) => {}
        }
    }
}

/// The measurements of one report, or of several together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    pub(crate) tallies: BTreeMap<Metric, Tally>,
    /// By the name of the file, or the test.
    pub(crate) files: BTreeMap<Metric, BTreeMap<String, Tally>>,
    pub(crate) findings: Findings,
}

impl Measured {
    /// The figures.
    pub fn metrics(&self) -> BTreeMap<Metric, f64> {
        self.tallies.iter().filter_map(|(metric, tally)| Some((*metric, tally.figure()?))).collect()
    }

    pub(crate) fn add(&mut self, metric: Metric, tally: Tally) {
        self.tallies.entry(metric).and_modify(|sum| sum.add(tally)).or_insert(tally);
    }

    /// Counts something of a file towards the whole as well.
    pub(crate) fn add_of(&mut self, metric: Metric, file: &str, tally: Tally) {
        self.add(metric, tally);
        self.note(metric, file, tally);
    }

    /// Counts something of a file only.
    pub(crate) fn note(&mut self, metric: Metric, file: &str, tally: Tally) {
        let files = self.files.entry(metric).or_default();
        match files.get_mut(file) {
            Some(sum) => sum.add(tally),
            None => {
                files.insert(file.to_owned(), tally);
            }
        }
    }

    /// Adds another report's figures to these.
    pub(crate) fn join(&mut self, other: Self) {
        let Self { tallies, files, findings } = other;
        for (metric, tally) in tallies {
            self.add(metric, tally);
        }
        for (metric, files) in files {
            for (file, tally) in files {
                self.note(metric, &file, tally);
            }
        }
        self.findings.join(findings);
    }

    /// The files of a metric, the worst first: those with the lowest share, or the greatest number.
    pub(crate) fn worst(&self, metric: Metric) -> Vec<(&str, f64)> {
        let files = self.files.get(&metric).into_iter().flatten();
        let mut files: Vec<_> =
            files.filter_map(|(file, tally)| Some((file.as_str(), *tally, tally.figure()?))).collect();
        let worse = |one: f64, other: f64| match metric.unit() {
            Unit::Percent => one.total_cmp(&other),
            Unit::Count | Unit::Score => other.total_cmp(&one),
        };
        let missing = |tally: Tally| match tally {
            Tally::Share { part, whole } => whole.saturating_sub(part),
            Tally::Count(_) | Tally::Greatest(_) => 0,
        };
        files.sort_by(|(_, one, figure), (_, other, than)| {
            worse(*figure, *than).then_with(|| missing(*other).cmp(&missing(*one))).then(Ordering::Equal)
        });
        files.into_iter().map(|(file, _, figure)| (file, figure)).collect()
    }

    /// Drops the files that no message would name.
    pub(crate) fn keep_worst(&mut self) {
        let metrics: Vec<Metric> = self.files.keys().copied().collect();
        for metric in metrics {
            let worst = self.worst(metric).into_iter().take(KEPT_FILES).map(|(file, _)| file.to_owned());
            let worst: Vec<String> = worst.collect();
            if let Some(files) = self.files.get_mut(&metric) {
                files.retain(|file, _| worst.contains(file));
            }
        }
    }
}
