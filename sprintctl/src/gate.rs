//! Gates, as people read them.

use clap::Subcommand;
use sprint_core::gates::{FIRST_STAGE, Gate};
use sprint_core::ids::RepoName;
use sprint_core::view::GateRecord;
use sprint_proto::v1;

use crate::cli::App;
use crate::failure::Failure;
use crate::render::{Cell, Column, Layout, commas, lines, short_duration, table};

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// List how the gates of a repo did of late: how often they failed, and which of them are flaky
    List {
        /// The repo
        repo: RepoName,
    },
}

impl GateCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let Self::List { repo } = self;
        let request = v1::RepoQueueRequest { repo: repo.into() };
        let gates = app.client.changes().gates(request).await?.into_inner().gates;
        app.output.list(&gates.into_iter().map(Into::into).collect::<Vec<_>>(), "gate runs", records)
    }
}

fn records(records: &[GateRecord], layout: &Layout) -> String {
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
