//! `sprintctl status`.

use std::collections::BTreeMap;

use serde::Serialize;
use sprint_core::change::ChangeStateName;
use sprint_core::ids::{ChangeId, RepoName, Seq};
use sprint_core::item::StageName;
use sprint_core::outpost::OutpostState;
use sprint_core::repo::Repo;
use sprint_core::time::Timestamp;
use sprint_core::worker::WorkerStateName;
use sprint_proto::v1;

use crate::cli::App;
use crate::failure::Failure;
use crate::render::{Cell, Column, Layout, ago, commas, fields, table};

/// The whole in a few lines, as scripts see it.
#[derive(Debug, Serialize)]
struct StatusView {
    version: String,
    started_at: Timestamp,
    last_seq: Seq,
    http: String,
    database: String,
    items: BTreeMap<String, u64>,
    workers: BTreeMap<String, u64>,
    changes: BTreeMap<String, u64>,
    outposts: BTreeMap<String, u64>,
    merge_queues: Vec<QueueView>,
}

/// The merge queue of one repo.
#[derive(Debug, Serialize)]
struct QueueView {
    repo: RepoName,
    branch: String,
    halted: Option<String>,
    /// The changes in it, the next one first.
    changes: Vec<ChangeId>,
}

/// Sums up what there is, and what the merge queues do.
pub(crate) async fn status(app: &App) -> Result<(), Failure> {
    let status = app.client.system().status(v1::StatusRequest {}).await?.into_inner();
    let repos = app.client.repos().list(v1::ListReposRequest {}).await?.into_inner().repos;
    let pending = v1::ListChangesRequest { pending: true, ..Default::default() };
    let pending = crate::change::views(app.client.changes().list(pending).await?.into_inner().changes)?;
    let repos = repos.into_iter().map(Repo::try_from).collect::<Result<Vec<_>, _>>()?;
    let queue = |repo: Repo| {
        let changes = pending.iter().filter(|change| change.repo == repo.name).map(|change| change.id).collect();
        QueueView { repo: repo.name, branch: repo.branch, halted: repo.halted, changes }
    };
    let v1::StatusResponse { version, started_at_ms, last_seq, items, workers, changes, outposts, http, database } =
        status;
    let view = StatusView {
        version,
        started_at: Timestamp::from_millis(started_at_ms),
        last_seq: Seq::new(last_seq),
        http,
        database,
        items: items.into_iter().collect(),
        workers: workers.into_iter().collect(),
        changes: changes.into_iter().collect(),
        outposts: outposts.into_iter().collect(),
        merge_queues: repos.into_iter().map(queue).collect(),
    };
    app.output.one(&view, |view, layout| text(view, &app.address, layout))
}

fn text(view: &StatusView, address: &str, layout: &Layout) -> String {
    let mut text = fields(&[
        ("coordinator", format!("{} at {address}, up {}", view.version, ago(layout, view.started_at))),
        ("http", view.http.clone()),
        ("database", view.database.clone()),
        ("items", counts(&view.items, StageName::ALL.iter().map(|word| word.as_str()))),
        ("workers", counts(&view.workers, WorkerStateName::ALL.iter().map(|word| word.as_str()))),
        ("changes", counts(&view.changes, ChangeStateName::ALL.iter().map(|word| word.as_str()))),
        ("outposts", counts(&view.outposts, OutpostState::ALL.iter().map(|word| word.as_str()))),
        ("events", view.last_seq.to_string()),
    ]);
    if !view.merge_queues.is_empty() {
        text += "\n";
        text += &queues(&view.merge_queues, layout);
    }
    text
}

/// Counts with their words, in the order of the words; `none` when there are none.
fn counts(counts: &BTreeMap<String, u64>, words: impl Iterator<Item = &'static str>) -> String {
    let found =
        words.filter_map(|word| counts.get(word).filter(|count| **count > 0).map(|count| format!("{count} {word}")));
    let text = commas(found);
    if text.is_empty() { "none".to_owned() } else { text }
}

fn queues(queues: &[QueueView], layout: &Layout) -> String {
    let columns = [
        Column::word("MERGE QUEUE"),
        Column::word("BRANCH"),
        Column::word("STATE"),
        Column::number("WAITING"),
        Column::word("NEXT"),
        Column::text("REASON"),
    ];
    let rows = queues.iter().map(|queue| {
        let state = match (&queue.halted, queue.changes.as_slice()) {
            (Some(_), _) => "halted",
            (None, []) => "empty",
            (None, _) => "moving",
        };
        vec![
            Cell::new(&queue.repo),
            Cell::new(&queue.branch),
            Cell::state(state),
            Cell::new(queue.changes.len()),
            Cell::maybe(queue.changes.first().map(|change| format!("change {change}"))),
            Cell::gist(queue.halted.as_deref().unwrap_or_default()),
        ]
    });
    table(layout, &columns, rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_fits_into_a_few_lines() {
        let count = |counts: &[(&str, u64)]| counts.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect();
        let view = StatusView {
            version: "0.1.0".to_owned(),
            started_at: Timestamp::from_millis(1_763_690_000_000),
            last_seq: Seq::new(1_234),
            http: "127.0.0.1:8080".to_owned(),
            database: "sqlite".to_owned(),
            items: count(&[("ready", 3), ("done", 17), ("in_progress", 2), ("blocked", 0)]),
            workers: count(&[("running", 2)]),
            changes: count(&[]),
            outposts: count(&[("online", 2), ("offline", 1)]),
            merge_queues: vec![
                QueueView {
                    repo: RepoName::new("web").unwrap(),
                    branch: "main".to_owned(),
                    halted: None,
                    changes: vec![ChangeId::new(4), ChangeId::new(6)],
                },
                QueueView {
                    repo: RepoName::new("api").unwrap(),
                    branch: "trunk".to_owned(),
                    halted: Some("the upstream refused the push".to_owned()),
                    changes: vec![],
                },
            ],
        };
        let layout = Layout { width: Some(80), colour: false, now: Timestamp::from_millis(1_763_700_000_000) };
        insta::assert_snapshot!(text(&view, "127.0.0.1:50051", &layout));
    }
}
