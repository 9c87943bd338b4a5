//! `sprintctl status`.

use clap::Args;
use sprint_core::status::CoordinatorStatus;
use sprint_proto::v1;

use crate::app::App;
use crate::failure::Failure;
use crate::render::status::{loops, text};

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show what the coordinator's loops do, and how their last pass went
    #[arg(long)]
    loops: bool,
}

/// Sums up what there is, and what the merge queues do.
pub(crate) async fn status(args: StatusArgs, app: &App) -> Result<(), Failure> {
    let status = app.client.system().status(v1::StatusRequest {}).await?.into_inner();
    let status = CoordinatorStatus::try_from(status)?;
    app.output.one(&status, |status, layout| {
        if args.loops { loops(&status.loops, layout) } else { text(status, &app.target.address, layout) }
    })
}
