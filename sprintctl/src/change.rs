//! `sprintctl change`.

use clap::{Args, Subcommand};
use sprint_core::change::Change;
use sprint_core::explain::Explanation;
use sprint_core::ids::{ChangeId, CommitId, ItemId, RepoName};
use sprint_core::view::ChangeView;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::cli::App;
use crate::failure::Failure;
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
                let change = view(changes.get(request(id)).await?.into_inner())?;
                let explanation = Explanation::from(changes.explain(request(id)).await?.into_inner());
                app.output.one(&change, |change, _| details(change, &explanation))
            }
            Self::Explain { id } => {
                let explanation = Explanation::from(changes.explain(request(id)).await?.into_inner());
                app.output.one(&explanation, |explanation, _| many_lines(&explanation.lines.join("\n")))
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

fn view(change: v1::Change) -> Result<ChangeView, Malformed> {
    Ok(Change::try_from(change)?.into())
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
        Column::word("CANDIDATE"),
        Column::word("AGE"),
        Column::text("GATES"),
        Column::text("REASON"),
    ];
    let rows = changes.iter().map(|change| {
        vec![
            Cell::new(change.id),
            Cell::new(&change.repo),
            Cell::state(change.state),
            Cell::new(change.item),
            Cell::new(change.attempt),
            Cell::new(change.head.short()),
            Cell::maybe(change.candidate.as_ref().map(CommitId::short)),
            Cell::new(ago(layout, change.created_at)),
            Cell::new(commas(&change.gates)),
            Cell::gist(&change.reason),
        ]
    });
    table(layout, &columns, rows.collect())
}

fn details(change: &ChangeView, explanation: &Explanation) -> String {
    let commit = |commit: Option<&CommitId>| commit.map(ToString::to_string).unwrap_or_default();
    let mut text = fields(&[
        ("change", change.id.to_string()),
        ("repo", change.repo.to_string()),
        ("item", format!("{} (attempt {})", change.item, change.attempt)),
        ("state", change.state.to_string()),
        ("head", change.head.to_string()),
        ("candidate", commit(change.candidate.as_ref())),
        ("base", commit(change.base.as_ref())),
        ("gates", commas(&change.gates)),
        ("created", change.created_at.to_string()),
        ("updated", change.updated_at.to_string()),
    ]);
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
            candidate: None,
            reason: "gate \"test\" failed with exit code 1\n\nnot ok 3 - adds\n".to_owned(),
            repo: RepoName::new("web").unwrap(),
            head: CommitId::new("ab".repeat(20)).unwrap(),
            base: None,
            gates: vec![],
            created_at: Timestamp::from_millis(1_763_699_700_000),
            updated_at: now,
        };
        let layout = Layout { width: Some(80), colour: false, now };
        let explanation = Explanation { lines: vec!["it is out of the queue".to_owned()], stuck: true };
        let text = details(&change, &explanation) + "\n" + &list(&[change], &layout);
        insta::assert_snapshot!(text);
    }
}
