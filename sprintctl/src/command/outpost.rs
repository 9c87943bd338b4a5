//! `sprintctl outpost`.

use std::time::Duration;

use clap::Subcommand;
use sprint_core::ids::OutpostName;
use sprint_core::outpost::{Load, Outpost};
use sprint_core::view::OutpostView;
use sprint_proto::convert::{Malformed, millis};
use sprint_proto::v1;

use crate::app::App;
use crate::failure::Failure;
use crate::render::outpost::{details, list, one};

#[derive(Debug, Subcommand)]
pub(crate) enum OutpostCommand {
    /// List the outposts
    List,
    /// Show an outpost: its labels, its slots and its load
    Show {
        /// The outpost's name
        name: OutpostName,
    },
    /// Assign no new work to an outpost; its running workers continue
    Drain {
        /// The outpost's name
        name: OutpostName,
    },
    /// Assign work to a drained outpost again
    Resume {
        /// The outpost's name
        name: OutpostName,
    },
    /// Change an outpost's settings
    Set {
        /// The outpost's name
        name: OutpostName,
        /// The time that it keeps its work while disconnected, before the work moves to another outpost; 0s for
        /// the coordinator's own setting
        #[arg(long, value_name = "DURATION", required = true)]
        disconnect_grace: humantime::Duration,
    },
    /// Remove an outpost; its certificate is refused from then on
    Remove {
        /// The outpost's name
        name: OutpostName,
        /// Also if it is connected or has workers, which are then lost
        #[arg(long)]
        force: bool,
    },
}

impl OutpostCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut outposts = app.client.outposts();
        let request = |name: &OutpostName| v1::OutpostRequest { name: name.to_string() };
        match self {
            Self::List => app.output.list(&all(app).await?, "outposts", list),
            Self::Show { name } => app.output.one(&find(app, &name).await?, details),
            Self::Drain { name } => {
                outposts.drain(request(&name)).await?;
                changed(app, &name).await
            }
            Self::Resume { name } => {
                outposts.resume(request(&name)).await?;
                changed(app, &name).await
            }
            Self::Set { name, disconnect_grace } => {
                let grace = Some(millis(*disconnect_grace));
                outposts.set(v1::SetOutpostRequest { name: name.to_string(), disconnect_grace_ms: grace }).await?;
                app.output.one(&find(app, &name).await?, details)
            }
            Self::Remove { name, force } => {
                let request = v1::RemoveOutpostRequest { name: name.into(), force };
                let gone = Outpost::try_from(outposts.remove(request).await?.into_inner())?;
                app.output.one(&OutpostView::new(gone, 0, None, None), one)
            }
        }
    }
}

async fn all(app: &App) -> Result<Vec<OutpostView>, Failure> {
    let outposts = app.client.outposts().list(v1::ListOutpostsRequest {}).await?.into_inner().outposts;
    let view = |status: v1::OutpostStatus| {
        let v1::OutpostStatus { outpost, active_workers, load, lapses_in_ms } = status;
        let outpost = outpost.ok_or(Malformed::Missing("the outpost"))?;
        let lapses_in = lapses_in_ms.map(Duration::from_millis);
        Ok(OutpostView::new(outpost.try_into()?, active_workers, load.map(Load::from), lapses_in))
    };
    outposts.into_iter().map(view).collect()
}

async fn find(app: &App, name: &OutpostName) -> Result<OutpostView, Failure> {
    all(app).await?.into_iter().find(|outpost| outpost.name == *name).ok_or_else(|| {
        Failure::new("outpost.not_found", format!("there is no outpost \"{name}\""))
            .with_next("see: sprintctl outpost list")
    })
}

async fn changed(app: &App, name: &OutpostName) -> Result<(), Failure> {
    app.output.one(&find(app, name).await?, one)
}
