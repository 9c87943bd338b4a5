//! `sprintctl audit`: who did what from where, and who was refused.

use clap::Args;

use crate::app::App;
use crate::command::tail::{EventFilter, PlaceArgs, tail};
use crate::failure::Failure;
use crate::render::audit::line;

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only what was refused
    #[arg(long)]
    refused: bool,
}

/// Prints the audit in order, one act on a line.
pub(crate) async fn audit(args: AuditArgs, app: &App) -> Result<(), Failure> {
    let AuditArgs { place, refused } = args;
    tail(place, if refused { EventFilter::Refused } else { EventFilter::Audit }, line, app).await
}
