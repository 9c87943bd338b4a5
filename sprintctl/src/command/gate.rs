//! `sprintctl gate`.

use clap::{Args, Subcommand};
use sprint_core::ids::RepoName;
use sprint_core::trial::TrialStateName;
use sprint_core::view::{GateRecord, GateRunView, TrialView};
use sprint_proto::v1;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{note, progress};
use crate::render::gate::{records, trial};

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// List the recent results of a repo's gates: runs, failures and flakiness
    List {
        /// The repo
        repo: RepoName,
    },
    /// Run the gates of a commit on outposts, as the merge queue does; nothing lands
    Run(GateRunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GateRunArgs {
    /// The repo, if there are several
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
    /// A branch of the upstream, a ref or a commit [default: the tip of the target branch]
    #[arg(long = "ref", value_name = "REF")]
    what: Option<String>,
    /// Only this gate; repeatable
    #[arg(long = "gate", value_name = "NAME")]
    gates: Vec<String>,
    /// Run the gates again even if the same tree has passed or failed them
    #[arg(long)]
    again: bool,
}

impl GateCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::List { repo } => {
                let request = v1::RepoQueueRequest { repo: repo.into() };
                let gates = app.client.changes().gates(request).await?.into_inner().gates;
                let gates: Vec<_> = gates.into_iter().map(Into::into).collect();
                app.output.list(&gates, "gate runs", records)?;
                if !gates.is_empty() {
                    note(&format!("counted over the repo's last {} trials", GateRecord::TRIALS));
                }
                Ok(())
            }
            Self::Run(args) => run(args, app).await,
        }
    }
}

/// Runs gates and waits for them; a person sees each result as soon as it arrives.
async fn run(args: GateRunArgs, app: &App) -> Result<(), Failure> {
    let GateRunArgs { repo, what, gates, again } = args;
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
    let Some(view) = last.filter(|trial| trial.state != TrialStateName::Gating) else {
        return Err(Failure::new("client.disconnected", "the coordinator ended the stream before the gates did"));
    };
    app.output.one(&view, trial)?;
    match view.state {
        TrialStateName::Passed => Ok(()),
        TrialStateName::Gating
        | TrialStateName::Suspect
        | TrialStateName::Failed
        | TrialStateName::Unmergeable
        | TrialStateName::Cancelled => Err(Failure::new("client.gates_not_passed", view.reason)),
    }
}
