//! Gates and their runs, as people read them.

use std::time::Duration;

use sprint_core::gates::{FIRST_STAGE, Gate};
use sprint_core::trial::TrialStateName;
use sprint_core::view::{GateRecord, TrialView};

use crate::render::{Cell, Column, Layout, commas, fields, lines, section, short_duration, table};

pub(crate) fn trial(trial: &TrialView, layout: &Layout) -> String {
    let same = trial.same_as.map(|same| format!("trial {same} had the same tree and gates; --again runs them again"));
    let what = fields(&[
        ("trial", trial.id.to_string()),
        ("repo", trial.repo.to_string()),
        ("commit", trial.commit.to_string()),
        ("tree", trial.tree.to_string()),
        ("state", if trial.state == TrialStateName::Suspect { "failed".to_owned() } else { trial.state.to_string() }),
        ("known from", same.unwrap_or_default()),
    ]);
    let columns = [Column::word("GATE"), Column::word("STATE"), Column::word("TOOK"), Column::text("REASON")];
    let rows = trial.runs.iter().map(|run| {
        vec![
            Cell::new(&run.gate),
            Cell::state(run.state),
            Cell::new(short_duration(Duration::from_millis(run.duration_ms))),
            Cell::new(&run.reason),
        ]
    });
    let findings = lines(trial.runs.iter().flat_map(|run| &run.findings));
    what + "\n" + &table(layout, &columns, rows.collect()) + &section("findings", &findings)
}

pub(crate) fn records(records: &[GateRecord], layout: &Layout) -> String {
    let columns = [
        Column::word("GATE"),
        Column::number("RUNS"),
        Column::number("PASSED"),
        Column::number("FAILED"),
        Column::number("FLAKY"),
        Column::word("FLAKY RATE"),
        Column::word("USUALLY"),
    ];
    let rows = records.iter().map(|record| {
        let rate = if record.runs == 0 { 0.0 } else { f64::from(record.flaky) * 100.0 / f64::from(record.runs) };
        vec![
            Cell::new(&record.name),
            Cell::new(record.runs),
            Cell::new(record.passed),
            Cell::new(record.failed),
            Cell::new(record.flaky),
            Cell::new(format!("{rate:.1} %")),
            Cell::maybe(record.median.map(short_duration)),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// What gates run, where and when, and what they require: one line for each that is only a command.
pub(crate) fn gates(gates: &[Gate]) -> String {
    lines(gates.iter().map(gate))
}

fn gate(gate: &Gate) -> String {
    let Gate { name, run, timeout, retries, stage, needs, report, require } = gate;
    let mut text = format!("{name}: {run} (at most {})", short_duration(*timeout));
    let runs = [
        (*stage > FIRST_STAGE).then(|| format!("in stage {stage}")),
        (*retries > 0).then(|| format!("again up to {retries}x")),
        (!needs.is_empty()).then(|| format!("on outposts with {}", commas(needs))),
    ];
    let runs: Vec<String> = runs.into_iter().flatten().collect();
    let reads = commas(report.iter().map(|report| format!("{} ({})", report.path, report.kind)));
    for (what, of) in [("runs", commas(&runs)), ("reads", reads), ("requires", commas(require))] {
        if !of.is_empty() {
            text.push_str("\n  ");
            text.push_str(what);
            text.push(' ');
            text.push_str(&of);
        }
    }
    text
}
