//! `sprintctl runtime`: the agents that can be run, and where they are.

use std::collections::BTreeMap;

use clap::Subcommand;
use sprint_core::outpost::Outpost;
use sprint_core::runtime::{Catalog, Runtime};
use sprint_proto::v1;

use crate::app::App;
use crate::failure::Failure;
use crate::render::runtime::{Found, RuntimeView, details, list};

#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeCommand {
    /// List the agents that ship with Sprint or that an outpost has, with their versions on the outposts
    List,
    /// Show an agent: how it is started, which versions were tried, and where it is
    Show {
        /// Its name
        name: String,
    },
}

impl RuntimeCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let all = views(app).await?;
        match self {
            Self::List => app.output.list(&all, "runtimes", list),
            Self::Show { name } => {
                let names = all.iter().map(|view| view.name.as_str()).collect::<Vec<_>>().join(", ");
                let found = all.iter().find(|view| view.name == name).ok_or_else(|| {
                    Failure::new("client.no_runtime", format!("there is no runtime \"{name}\""))
                        .with_next(format!("name one of {names}"))
                })?;
                app.output.one(found, |view, _| details(view))
            }
        }
    }
}

async fn views(app: &App) -> Result<Vec<RuntimeView>, Failure> {
    let outposts = app.client.outposts().list(v1::ListOutpostsRequest {}).await?.into_inner().outposts;
    let outposts = outposts.into_iter().filter_map(|status| status.outpost).map(Outpost::try_from);
    let outposts = outposts.collect::<Result<Vec<_>, _>>()?;
    let shipped = Catalog::shipped();
    let mut views: BTreeMap<String, RuntimeView> = shipped
        .iter()
        .map(|runtime| {
            let (name, runtime) = (runtime.name.clone(), Some(runtime.clone()));
            (name.clone(), RuntimeView { name, runtime, outposts: BTreeMap::new() })
        })
        .collect();
    for Outpost { name: outpost, labels, .. } in outposts {
        for (label, version) in &labels {
            let Some(name) = label.strip_prefix(Runtime::LABEL) else { continue };
            let view = views.entry(name.to_owned()).or_insert_with(|| RuntimeView {
                name: name.to_owned(),
                runtime: None,
                outposts: BTreeMap::new(),
            });
            let verified = view.runtime.as_ref().is_some_and(|runtime| runtime.verified.contains(version));
            let login = labels.get(&format!("{}{name}", Runtime::LOGIN_LABEL));
            let has_login = login.map(|found| found != Runtime::NO_LOGIN);
            view.outposts.insert(outpost.clone(), Found { version: version.clone(), verified, has_login });
        }
    }
    Ok(views.into_values().collect())
}
