//! Gates, as people read them.

use std::time::Duration;

use clap::{Args, Subcommand};
use sprint_core::gates::{FIRST_STAGE, Gate};
use sprint_core::ids::RepoName;
use sprint_core::trial::TrialStateName;
use sprint_core::view::{GateRecord, GateRunView, TrialView};
use sprint_proto::v1;

use crate::cli::App;
use crate::failure::Failure;
use crate::output::progress;
use crate::render::{Cell, Column, Layout, commas, fields, lines, section, short_duration, table};

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// List how the gates of a repo did of late: how often they failed, and which of them are flaky
    List {
        /// The repo
        repo: RepoName,
    },
    /// Run the gates of a commit on outposts, as the merge queue does; nothing lands
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The repo, if there are several
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
    /// A branch of the upstream, a ref or a commit [default: the tip of the target branch]
    #[arg(long = "ref", value_name = "REF")]
    what: Option<String>,
    /// Only this gate; may be given several times
    #[arg(long = "gate", value_name = "NAME")]
    gates: Vec<String>,
    /// Run them also where the same tree has been through the same gates
    #[arg(long)]
    again: bool,
}

impl GateCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::List { repo } => {
                let request = v1::RepoQueueRequest { repo: repo.into() };
                let gates = app.client.changes().gates(request).await?.into_inner().gates;
                app.output.list(&gates.into_iter().map(Into::into).collect::<Vec<_>>(), "gate runs", records)
            }
            Self::Run(args) => run(args, app).await,
        }
    }
}

/// Runs gates and waits for them; what ends is said at once to a person who watches.
async fn run(args: RunArgs, app: &App) -> Result<(), Failure> {
    let RunArgs { repo, what, gates, again } = args;
    let request = v1::RunGatesRequest { repo: repo.map(Into::into), what, gates, again };
    let mut trials = app.client.changes().run_gates(request).await?.into_inner();
    let mut last: Option<TrialView> = None;
    while let Some(trial) = trials.message().await? {
        let trial = TrialView::try_from(trial)?;
        let before = |run: &GateRunView| {
            let runs = last.iter().flat_map(|trial| &trial.runs);
            runs.filter(|before| before.gate == run.gate).map(|before| before.state).next()
        };
        for run in trial.runs.iter().filter(|run| before(run).is_some_and(|before| before != run.state)) {
            let on = run.worker.map(|worker| format!(" as worker {worker}")).unwrap_or_default();
            progress(&format!("gate {} is {}{on}", run.gate, run.state));
        }
        last = Some(trial);
    }
    let Some(trial) = last.filter(|trial| trial.state != TrialStateName::Gating) else {
        return Err(Failure::Failed("the coordinator went away; its gates go on without you".to_owned()));
    };
    app.output.one(&trial, trial_text)?;
    match trial.state {
        TrialStateName::Passed => Ok(()),
        TrialStateName::Gating
        | TrialStateName::Suspect
        | TrialStateName::Failed
        | TrialStateName::Unmergeable
        | TrialStateName::Cancelled => Err(Failure::Failed(trial.reason)),
    }
}

fn trial_text(trial: &TrialView, layout: &Layout) -> String {
    let same = trial.same_as.map(|same| format!("trial {same} was of the same tree and gates; --again runs them anew"));
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
