//! `sprintctl event`.

use clap::{Args, Subcommand};
use sprint_core::ids::ItemId;

use crate::app::App;
use crate::command::tail::{EventFilter, PlaceArgs, tail};
use crate::failure::Failure;
use crate::render::event::line;

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Print events in order, one on a line
    Tail(EventTailArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EventTailArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only those of this item
    #[arg(long, value_name = "ID")]
    item: Option<ItemId>,
}

impl EventCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Tail(EventTailArgs { place, item }) => {
                tail(place, item.map_or(EventFilter::All, EventFilter::Item), line, app).await
            }
        }
    }
}
