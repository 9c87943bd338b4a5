//! `sprintctl change`.

use clap::{Args, Subcommand};
use sprint_core::event::Event;
use sprint_core::ids::{ChangeId, ItemId, RepoName};
use sprint_core::merge_queue::ChangeSeen;
use sprint_core::view::ChangeView;
use sprint_proto::convert::{ExplanationView, Malformed};
use sprint_proto::v1;

use crate::app::App;
use crate::args;
use crate::failure::Failure;
use crate::render::change::{QueueGraph, details, graph, list};
use crate::render::event;
use crate::render::reason::{Explained, explained};

#[derive(Debug, Subcommand)]
pub(crate) enum ChangeCommand {
    /// List the changes in the merge queue
    List(ChangeListArgs),
    /// Show a change: its commits, its gates and why it is out of the queue
    Show {
        /// The change's number
        id: ChangeId,
    },
    /// Explain what a change waits for
    Explain {
        /// The change's number
        id: ChangeId,
    },
    /// Print a repo's queue: the order of its changes, and the trials that are gated
    Graph {
        /// The repo
        repo: RepoName,
    },
    /// Print the decisions about a change so far
    Why {
        /// The change's number
        id: ChangeId,
    },
    /// Return a failed or conflicted change to the queue
    Retry {
        /// The change's number
        id: ChangeId,
    },
    /// Let a change land although it changes protected paths
    Approve {
        /// The change's number
        id: ChangeId,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Remove a change from the queue and block its item
    Drop {
        /// The change's number
        id: ChangeId,
        /// Why, for the record
        #[arg(long, default_value = "dropped by the overseer")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ChangeListArgs {
    /// Also changes that have left the queue
    #[arg(long)]
    all: bool,
    /// Only of this repo
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
    /// Only of this item
    #[arg(long, value_name = "ID")]
    item: Option<ItemId>,
    /// Only the newest N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl ChangeCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut changes = app.client.changes();
        let request = |id: ChangeId| v1::ChangeRequest { id: id.get() };
        match self {
            Self::List(args) => {
                let (limit, left) = (args.limit, args.left());
                let mut found = app.client.all_changes(args.request()).await?;
                let has_older = args::newest(&mut found, limit);
                app.output.list(&views(found)?, "changes", list)?;
                app.output.hidden(has_older, args::OLDER);
                app.output.hidden(left.is_some(), &left.unwrap_or_default());
                Ok(())
            }
            Self::Show { id } => {
                let seen = ChangeSeen::try_from(changes.get(request(id)).await?.into_inner())?;
                let gates =
                    seen.change.candidate().map_or(vec![], |candidate| candidate.all_gates().cloned().collect());
                let change = ChangeView::from(seen);
                let explanation = explanation(changes.explain(request(id)).await?.into_inner())?;
                app.output.one(&change, |change, _| details(change, &gates, &explanation))
            }
            Self::Explain { id } => {
                let explanation = explanation(changes.explain(request(id)).await?.into_inner())?;
                app.output.one(&explanation, explained)
            }
            Self::Graph { repo } => {
                let answer = changes.graph(v1::RepoQueueRequest { repo: repo.into() }).await?.into_inner();
                app.output.one(&queue_graph(answer)?, graph)
            }
            Self::Why { id } => {
                let events = changes.why(request(id)).await?.into_inner().events;
                let events = events.into_iter().map(Event::try_from).collect::<Result<Vec<_>, _>>()?;
                app.output.list(&events, "decisions", |events, layout| {
                    events.iter().map(|event| event::line(event, layout) + "\n").collect()
                })
            }
            Self::Retry { id } => changed(app, changes.retry(request(id)).await?.into_inner()),
            Self::Approve { id, reason } => {
                changed(app, changes.approve(v1::ApproveChangeRequest { id: id.get(), reason }).await?.into_inner())
            }
            Self::Drop { id, reason } => {
                changed(app, changes.drop(v1::DropChangeRequest { id: id.get(), reason }).await?.into_inner())
            }
        }
    }
}

impl ChangeListArgs {
    fn request(self) -> v1::ListChangesRequest {
        let Self { all, repo, item, limit } = self;
        v1::ListChangesRequest {
            repo: repo.map(Into::into),
            item: item.map(ItemId::get),
            pending: !all,
            limit: args::one_more(limit),
            before: 0,
        }
    }

    /// How to see those that have left the queue, if they are not asked for.
    fn left(&self) -> Option<String> {
        let repo = self.repo.as_ref().map(|repo| format!(" --repo {repo}")).unwrap_or_default();
        let item = self.item.map(|item| format!(" --item {item}")).unwrap_or_default();
        (!self.all).then(|| format!("those that have left the queue: sprintctl change list --all{repo}{item}"))
    }
}

fn view(change: v1::Change) -> Result<ChangeView, Malformed> {
    Ok(ChangeSeen::try_from(change)?.into())
}

pub(crate) fn views(changes: Vec<v1::Change>) -> Result<Vec<ChangeView>, Malformed> {
    changes.into_iter().map(view).collect()
}

fn explanation(explanation: v1::ChangeExplanation) -> Result<Explained, Malformed> {
    Ok(ExplanationView::try_from(explanation)?.into())
}

fn changed(app: &App, change: v1::Change) -> Result<(), Failure> {
    app.output.one(&view(change)?, |change, layout| list(std::slice::from_ref(change), layout))
}

fn queue_graph(graph: v1::Graph) -> Result<QueueGraph, Malformed> {
    let v1::Graph { changes, trials } = graph;
    let trials = trials.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    Ok(QueueGraph { changes: views(changes)?, trials })
}
