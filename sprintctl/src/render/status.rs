//! The status, as people and scripts see it.

use std::collections::BTreeMap;

use serde::Serialize;
use sprint_core::change::ChangeStateName;
use sprint_core::ids::{ChangeId, RepoName, Seq};
use sprint_core::item::StageName;
use sprint_core::outpost::OutpostState;
use sprint_core::time::Timestamp;
use sprint_core::worker::WorkerStateName;

use crate::render::{Cell, Column, Layout, ago, commas, fields, table};

/// The whole in a few lines, as scripts see it.
#[derive(Debug, Serialize)]
pub(crate) struct StatusSummary {
    pub(crate) version: String,
    pub(crate) started_at: Timestamp,
    pub(crate) last_seq: Seq,
    pub(crate) http: String,
    pub(crate) database: String,
    pub(crate) items: BTreeMap<String, u64>,
    pub(crate) workers: BTreeMap<String, u64>,
    pub(crate) changes: BTreeMap<String, u64>,
    pub(crate) outposts: BTreeMap<String, u64>,
    pub(crate) merge_queues: Vec<QueueSummary>,
}

/// The merge queue of one repo.
#[derive(Debug, Serialize)]
pub(crate) struct QueueSummary {
    pub(crate) repo: RepoName,
    pub(crate) branch: String,
    pub(crate) halted: Option<String>,
    /// The changes in it, the next one first.
    pub(crate) changes: Vec<ChangeId>,
}

pub(crate) fn text(view: &StatusSummary, address: &str, layout: &Layout) -> String {
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

fn queues(queues: &[QueueSummary], layout: &Layout) -> String {
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
        let view = StatusSummary {
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
                QueueSummary {
                    repo: RepoName::new("web").unwrap(),
                    branch: "main".to_owned(),
                    halted: None,
                    changes: vec![ChangeId::new(4), ChangeId::new(6)],
                },
                QueueSummary {
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
