//! The verdict on a gate's run.

use sprint_core::assignment::CommandResult;
use sprint_core::gates::{
    Bound, Comparison, Gate, GateOutcome, GateVerdict, Metric, ReportFile, ReportKind, Threshold, Unit, plain,
};

use crate::measured::Measured;
use crate::read::{MAX_REPORT, read};

/// The exit code of a command that does not exist, as shells have it.
const NOT_FOUND: i32 = 127;
/// How many files a reason names.
const NAMED: usize = 3;
/// How many faults a reason tells of.
const TOLD: usize = 5;

/// The content at a report's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    Found(Vec<u8>),
    Missing,
    /// Larger than [`MAX_REPORT`].
    TooLarge,
    /// It was there before the gate began, and was not written since.
    Stale,
    /// A symbolic link on its path leads out of the workspace.
    Outside,
    /// A directory, a pipe, a device.
    NotAFile,
    /// Why it cannot be opened.
    Unreadable(String),
}

/// A failure, as its text.
#[derive(Debug)]
enum Fault {
    /// There is no report that can be read.
    Report(String),
    /// A report can be read, and says what must not be.
    Figure(String),
}

/// Judges a gate's run by how its command ended and by its reports, one for each that the gate names.
///
/// `root` is the workspace's absolute path: files are named from there.
pub fn judge(gate: &Gate, result: &CommandResult, reports: &[Reading], root: &str) -> GateVerdict {
    let mut whole = Measured::default();
    let mut faults = Vec::new();
    for (number, report) in gate.report.iter().enumerate() {
        match measure(report, reports.get(number).unwrap_or(&Reading::Missing), root) {
            Ok(measured) => {
                faults.extend(always(gate, report, &measured));
                whole.join(measured);
            }
            Err(fault) => faults.push(Fault::Report(fault)),
        }
    }
    let metrics = whole.metrics();
    let all_read = !faults.iter().any(|fault| matches!(fault, Fault::Report(_)));
    for threshold in &gate.require {
        match metrics.get(&threshold.metric) {
            Some(figure) => faults.extend(shortfall(&whole, *threshold, *figure)),
            None if all_read => faults.push(Fault::Report(unmeasured(gate, *threshold))),
            // A report that cannot be read is named already, and may be the one that measures it.
            None => {}
        }
    }
    let (outcome, reason) = match ending(gate, result) {
        None if faults.is_empty() => (GateOutcome::Passed, String::new()),
        None => (GateOutcome::Failed, format!("gate {:?}: {}", gate.name, told(&faults))),
        Some((GateOutcome::Failed, reason)) => {
            // A command that failed may well leave no report; what it did write says why it failed.
            faults.retain(|fault| matches!(fault, Fault::Figure(_)));
            let reason = if faults.is_empty() { reason } else { format!("{reason}: {}", told(&faults)) };
            (GateOutcome::Failed, reason)
        }
        Some((outcome, reason)) => (outcome, reason),
    };
    GateVerdict {
        gate: gate.name.clone(),
        outcome,
        reason,
        metrics,
        findings: whole.findings.into_gravest(),
        duration_ms: result.duration_ms,
    }
}

/// The reason for which the command's end is a failure, if it is one.
fn ending(gate: &Gate, result: &CommandResult) -> Option<(GateOutcome, String)> {
    let name = &gate.name;
    if result.timed_out {
        let timeout = humantime::format_duration(gate.timeout);
        return Some((GateOutcome::TimedOut, format!("gate {name:?} timed out after {timeout}")));
    }
    match (result.exit_code, result.signal) {
        (Some(0), None) => None,
        (Some(NOT_FOUND), _) => Some((GateOutcome::NotFound, format!("gate {name:?}: command not found"))),
        (_, Some(signal)) => Some((GateOutcome::Failed, format!("gate {name:?} was ended by signal {signal}"))),
        (Some(code), None) => Some((GateOutcome::Failed, format!("gate {name:?} failed with exit code {code}"))),
        (None, None) => Some((GateOutcome::Failed, format!("gate {name:?} ended in an unknown way"))),
    }
}

/// Reads a report, or says what is wrong, why, and what to do.
fn measure(report: &ReportFile, reading: &Reading, root: &str) -> Result<Measured, String> {
    let ReportFile { kind, path } = report;
    let bytes = match reading {
        Reading::Found(bytes) if bytes.len() as u64 <= MAX_REPORT => bytes,
        Reading::Found(_) | Reading::TooLarge => {
            let limit = MAX_REPORT / (1024 * 1024);
            return Err(format!(
                "the report {path} is larger than {limit} MiB; have the tool leave out what is not measured"
            ));
        }
        Reading::Missing => {
            return Err(format!("the report {path} is missing; the command must write it, from the repository's root"));
        }
        Reading::Stale => {
            return Err(format!("the report {path} is older than this run; the command must write it in each run"));
        }
        Reading::Outside => {
            return Err(format!("the report {path} leads out of the workspace; the command must write it inside"));
        }
        Reading::NotAFile => return Err(format!("the report {path} is no file; the command must write a plain file")),
        Reading::Unreadable(why) => return Err(format!("the report {path} cannot be opened: {}", plain(why, 200))),
    };
    read(*kind, bytes, root).map_err(|why| {
        let why = plain(&why.to_string(), 300);
        format!("the report {path} cannot be used: {why}; have the command write a whole {kind} report")
    })
}

/// The rules that hold for every report: no test that runs is not a pass, and a failed test is a failure.
/// A threshold on failures or errors takes the place of its own, none takes that of tests.
fn always(gate: &Gate, report: &ReportFile, measured: &Measured) -> Vec<Fault> {
    if report.kind != ReportKind::Junit {
        return vec![];
    }
    let metrics = measured.metrics();
    let figure = |metric| metrics.get(&metric).copied().unwrap_or_default();
    let mut faults = Vec::new();
    if figure(Metric::Tests) <= 0.0 {
        let skipped = figure(Metric::Skipped);
        let skipped = if skipped > 0.0 { format!(" ({skipped} skipped)") } else { String::new() };
        faults.push(Fault::Figure(format!(
            "no test ran{skipped}: the report {} has none, and that is not a pass; see that the command finds the tests",
            report.path
        )));
    }
    for metric in [Metric::Failures, Metric::Errors] {
        if !gate.require.iter().any(|threshold| threshold.metric == metric) {
            let none = Threshold { metric, comparison: Comparison::Exactly, bound: Bound::ZERO };
            faults.extend(shortfall(measured, none, figure(metric)));
        }
    }
    faults
}

/// The text for a figure that misses its threshold, with the files that it comes from.
fn shortfall(measured: &Measured, threshold: Threshold, figure: f64) -> Option<Fault> {
    let told = threshold.shortfall(figure)?;
    let unit = threshold.metric.unit();
    // A file that holds by itself is not the cause.
    let worst = measured.worst(threshold.metric).into_iter().filter(|(file, figure)| {
        !file.is_empty() && (!threshold.holds(*figure) || (unit == Unit::Count && *figure > 0.0))
    });
    let worst: Vec<String> = worst.take(NAMED).map(|(file, figure)| named(unit, &plain(file, 120), figure)).collect();
    Some(Fault::Figure(match (worst.as_slice(), unit) {
        ([], _) => told,
        (worst, Unit::Percent | Unit::Score) => format!("{told}; worst: {}", worst.join(", ")),
        (worst, Unit::Count) => format!("{told}; in {}", worst.join(", ")),
    }))
}

fn named(unit: Unit, file: &str, figure: f64) -> String {
    let figure = (figure * 10.0).floor() / 10.0;
    match unit {
        Unit::Percent => format!("{file} {figure}%"),
        Unit::Score => format!("{file} {figure}"),
        Unit::Count if figure <= 1.0 => file.to_owned(),
        Unit::Count => format!("{file} ({figure})"),
    }
}

/// Why a threshold cannot be held against anything.
fn unmeasured(gate: &Gate, threshold: Threshold) -> String {
    let metric = threshold.metric;
    let reports = gate.report.iter().filter(|report| report.kind.gives().contains(&metric));
    let reports = reports.map(|report| report.path.as_str()).collect::<Vec<_>>().join(", ");
    format!("the report {reports} does not measure {metric}, and \"{threshold}\" needs it; have the tool measure it")
}

fn told(faults: &[Fault]) -> String {
    let text = |fault: &Fault| match fault {
        Fault::Report(text) | Fault::Figure(text) => text.clone(),
    };
    let more = faults.len().checked_sub(TOLD).filter(|more| *more > 0).map(|more| format!("and {more} more"));
    faults.iter().take(TOLD).map(text).chain(more).collect::<Vec<_>>().join(". ")
}
