//! `sprintctl change`.

use clap::{Args, Subcommand};
use std::time::Duration;

use serde::Serialize;
use sprint_core::change::Direct;
use sprint_core::event::Event;
use sprint_core::explain::Explanation;
use sprint_core::gates::Gate;
use sprint_core::ids::{ChangeId, CommitId, ItemId, RepoName};
use sprint_core::merge_queue::ChangeSeen;
use sprint_core::view::{ChangeView, GateRunView, TrialView};
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::cli::App;
use crate::event;
use crate::failure::Failure;
use crate::gate;
use crate::render::{Cell, Column, Layout, ago, commas, fields, many_lines, section, table};

#[derive(Debug, Subcommand)]
pub(crate) enum ChangeCommand {
    /// List the changes in the merge queue
    List(ListArgs),
    /// Show a change: its commits, its gates and why it is out of the queue
    Show {
        /// The change's number
        id: ChangeId,
    },
    /// Say what a change waits for
    Explain {
        /// The change's number
        id: ChangeId,
    },
    /// Print a repo's queue: what waits for what, and what is gated
    Graph {
        /// The repo
        repo: RepoName,
    },
    /// Print the decisions that led a change to where it is
    Why {
        /// The change's number
        id: ChangeId,
    },
    /// Put a failed or conflicted change back into the queue
    Retry {
        /// The change's number
        id: ChangeId,
    },
    /// Take a change out of the queue and block its item
    Drop {
        /// The change's number
        id: ChangeId,
        /// Why, for the record
        #[arg(long, default_value = "dropped by the overseer")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Also those that have left the queue
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
                let found = changes.list(args.request()).await?.into_inner().changes;
                app.output.list(&views(found)?, "changes", list)
            }
            Self::Show { id } => {
                let seen = ChangeSeen::try_from(changes.get(request(id)).await?.into_inner())?;
                let gates = seen.change.candidate().map_or(vec![], |candidate| candidate.gates.clone());
                let change = ChangeView::from(seen);
                let explanation = Explanation::from(changes.explain(request(id)).await?.into_inner());
                app.output.one(&change, |change, _| details(change, &gates, &explanation))
            }
            Self::Explain { id } => {
                let explanation = Explanation::from(changes.explain(request(id)).await?.into_inner());
                app.output.one(&explanation, |explanation, _| many_lines(&explanation.lines.join("\n")))
            }
            Self::Graph { repo } => {
                let graph = changes.graph(v1::RepoQueueRequest { repo: repo.into() }).await?.into_inner();
                app.output.one(&GraphView::try_from(graph)?, graph_text)
            }
            Self::Why { id } => {
                let events = changes.why(request(id)).await?.into_inner().events;
                let events = events.into_iter().map(Event::try_from).collect::<Result<Vec<_>, _>>()?;
                app.output.list(&events, "decisions", |events, layout| {
                    events.iter().map(|event| event::line(event, layout) + "\n").collect()
                })
            }
            Self::Retry { id } => changed(app, changes.retry(request(id)).await?.into_inner()),
            Self::Drop { id, reason } => {
                changed(app, changes.drop(v1::DropChangeRequest { id: id.get(), reason }).await?.into_inner())
            }
        }
    }
}

impl ListArgs {
    fn request(self) -> v1::ListChangesRequest {
        let Self { all, repo, item, limit } = self;
        v1::ListChangesRequest {
            repo: repo.map(Into::into),
            item: item.map(ItemId::get),
            pending: !all,
            limit: limit.unwrap_or_default(),
        }
    }
}

/// A repo's queue, as scripts see it.
#[derive(Debug, Serialize)]
struct GraphView {
    changes: Vec<ChangeView>,
    trials: Vec<TrialView>,
}

impl TryFrom<v1::Graph> for GraphView {
    type Error = Malformed;

    fn try_from(graph: v1::Graph) -> Result<Self, Malformed> {
        let v1::Graph { changes, trials } = graph;
        let trials = trials.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { changes: views(changes)?, trials })
    }
}

fn view(change: v1::Change) -> Result<ChangeView, Malformed> {
    Ok(ChangeSeen::try_from(change)?.into())
}

pub(crate) fn views(changes: Vec<v1::Change>) -> Result<Vec<ChangeView>, Malformed> {
    changes.into_iter().map(view).collect()
}

fn changed(app: &App, change: v1::Change) -> Result<(), Failure> {
    app.output.one(&view(change)?, |change, layout| list(std::slice::from_ref(change), layout))
}

fn list(changes: &[ChangeView], layout: &Layout) -> String {
    let columns = [
        Column::number("ID"),
        Column::word("REPO"),
        Column::word("STATE"),
        Column::number("ITEM"),
        Column::number("TRY"),
        Column::word("HEAD"),
        Column::number("PLACE"),
        Column::word("AGE"),
        Column::text("NOW"),
    ];
    let rows = changes.iter().map(|change| {
        vec![
            Cell::new(change.id),
            Cell::new(&change.repo),
            Cell::state(change.state),
            Cell::new(change.item),
            Cell::new(change.attempt),
            Cell::new(change.head.short()),
            Cell::maybe(change.standing.as_ref().map(|standing| standing.position)),
            Cell::new(ago(layout, change.created_at)),
            Cell::gist(&present(change)),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// What becomes of a change now, in a few words.
fn present(change: &ChangeView) -> String {
    let Some(standing) = &change.standing else {
        return match (&change.candidate, change.reason.as_str()) {
            (Some(candidate), "") => format!("{} on {}", change.state, candidate.short()),
            (_, reason) => reason.to_owned(),
        };
    };
    let mut words = Vec::new();
    if let (Some(trial), Some(state)) = (standing.trial, standing.trial_state) {
        let with = if standing.with.is_empty() { String::new() } else { format!(" with {}", commas(&standing.with)) };
        words.push(format!("trial {trial}{with}: {state}"));
    }
    if !standing.waits_for.is_empty() {
        words.push(format!("behind {}", commas(&standing.waits_for)));
    }
    words.push(format!("chance {:.0} %", standing.chance * 100.0));
    if let Some(left) = standing.expected {
        words.push(format!("about {}", humantime::format_duration(Duration::from_secs(left.as_secs()))));
    }
    words.join(", ")
}

fn graph_text(graph: &GraphView, layout: &Layout) -> String {
    let columns = [
        Column::number("TRIAL"),
        Column::word("STATE"),
        Column::word("BASE"),
        Column::word("TREE"),
        Column::text("CHANGES"),
        Column::text("GATES"),
    ];
    let gate = |run: &GateRunView| match run.worker {
        Some(worker) => format!("{} {} (worker {worker})", run.gate, run.state),
        None => format!("{} {}", run.gate, run.state),
    };
    let rows = graph.trials.iter().map(|trial| {
        vec![
            Cell::new(trial.id),
            Cell::state(trial.state),
            Cell::new(trial.base.short()),
            Cell::new(trial.tree.as_str().get(..10).unwrap_or_default()),
            Cell::new(if trial.changes.is_empty() { trial.purpose.to_string() } else { commas(&trial.changes) }),
            Cell::new(commas(trial.runs.iter().map(gate).collect::<Vec<_>>())),
        ]
    });
    list(&graph.changes, layout) + "\n" + &table(layout, &columns, rows.collect())
}

fn direct(direct: &Direct) -> String {
    let Direct { skip_gates, reason } = direct;
    let gates = if *skip_gates { "without its gates" } else { "after its gates" };
    if reason.is_empty() { gates.to_owned() } else { format!("{gates}: {reason}") }
}

fn details(change: &ChangeView, gates: &[Gate], explanation: &Explanation) -> String {
    let commit = |commit: Option<&CommitId>| commit.map(ToString::to_string).unwrap_or_default();
    let mut text = fields(&[
        ("change", change.id.to_string()),
        ("repo", change.repo.to_string()),
        ("item", format!("{} (attempt {})", change.item, change.attempt)),
        ("state", change.state.to_string()),
        ("head", change.head.to_string()),
        ("candidate", commit(change.candidate.as_ref())),
        ("base", commit(change.base.as_ref())),
        ("brought as", change.source.clone().unwrap_or_default()),
        ("direct", change.direct.as_ref().map(direct).unwrap_or_default()),
        ("created", change.created_at.to_string()),
        ("updated", change.updated_at.to_string()),
    ]);
    text += &section("gates", &gate::gates(gates));
    text += &section("reason", &change.reason);
    text += &section("now", &explanation.lines.join("\n"));
    text
}

#[cfg(test)]
mod tests {
    use sprint_core::change::ChangeStateName;
    use sprint_core::ids::Attempt;
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_change_out_of_the_queue_says_why() {
        let now = Timestamp::from_millis(1_763_700_000_000);
        let change = ChangeView {
            id: ChangeId::new(7),
            item: ItemId::new(12),
            attempt: Attempt::new(2),
            state: ChangeStateName::Failed,
            standing: None,
            candidate: None,
            reason: "gate \"test\" failed with exit code 1\n\nnot ok 3 - adds\n".to_owned(),
            repo: RepoName::new("web").unwrap(),
            head: CommitId::new("ab".repeat(20)).unwrap(),
            source: None,
            direct: None,
            base: None,
            gates: vec![],
            created_at: Timestamp::from_millis(1_763_699_700_000),
            updated_at: now,
        };
        let layout = Layout { width: Some(80), colour: false, now };
        let explanation = Explanation { lines: vec!["it is out of the queue".to_owned()], stuck: true };
        let text = details(&change, &[Gate::new("test", "./test.sh")], &explanation) + "\n" + &list(&[change], &layout);
        insta::assert_snapshot!(text);
    }
}
