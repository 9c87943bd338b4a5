//! The status, as people and scripts see it.

use std::collections::BTreeMap;
use std::time::Duration;

use sprint_core::change::ChangeStateName;
use sprint_core::item::StageName;
use sprint_core::outpost::OutpostState;
use sprint_core::status::{CoordinatorStatus, LoopStatus, QueueStatus};
use sprint_core::worker::WorkerStateName;

use crate::render::{Cell, Column, Layout, ago, commas, fields, table};

pub(crate) fn text(view: &CoordinatorStatus, address: &str, layout: &Layout) -> String {
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

fn queues(queues: &[QueueStatus], layout: &Layout) -> String {
    let columns = [
        Column::word("MERGE QUEUE"),
        Column::word("BRANCH"),
        Column::word("STATE"),
        Column::number("WAITING"),
        Column::word("NEXT"),
        Column::text("REASON"),
    ];
    let rows = queues.iter().map(|queue| {
        let next = queue.changes.iter().find(|change| !queue.awaiting_approval.contains(change));
        let state = match (&queue.halted, &queue.upstream_trouble, queue.changes.as_slice(), next) {
            (Some(_), ..) => "halted",
            (None, Some(_), ..) => "undelivered",
            (None, None, [], _) => "empty",
            (None, None, _, None) => "waiting",
            (None, None, _, Some(_)) => "moving",
        };
        let behind = queue.upstream_trouble.as_ref().map(|why| format!("not at the upstream yet: {why}"));
        let awaiting = commas(&queue.awaiting_approval);
        let awaiting = (!awaiting.is_empty()).then(|| format!("changes that wait for approval: {awaiting}"));
        let reason = queue.halted.clone().or(behind).or(awaiting).unwrap_or_default();
        vec![
            Cell::new(&queue.repo),
            Cell::new(&queue.branch),
            Cell::state(state),
            Cell::new(queue.changes.len()),
            Cell::maybe(next.map(|change| format!("change {change}"))),
            Cell::gist(&reason),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// A line for each loop.
pub(crate) fn loops(loops: &[LoopStatus], layout: &Layout) -> String {
    let columns = [
        Column::word("LOOP"),
        Column::word("STATE"),
        Column::number("PASSES"),
        Column::number("FAILED"),
        Column::word("LAST"),
        Column::word("REASON"),
        Column::number("TOOK"),
        Column::text("ERROR"),
    ];
    let rows = loops.iter().map(|status| {
        let LoopStatus { name, passes, failures, running_since, last_pass } = status;
        let last = last_pass.as_ref();
        let state = running_since.map_or_else(|| "idle".to_owned(), |since| format!("running {}", ago(layout, since)));
        vec![
            Cell::new(name),
            Cell::new(state),
            Cell::new(passes),
            Cell::new(failures),
            Cell::maybe(last.map(|pass| format!("{} ago", ago(layout, pass.at)))),
            Cell::maybe(last.map(|pass| pass.reason)),
            Cell::maybe(last.map(|pass| format!("{:.1?}", Duration::from_micros(pass.duration_us)))),
            Cell::gist(last.and_then(|pass| pass.error.as_deref()).unwrap_or_default()),
        ]
    });
    table(layout, &columns, rows.collect())
}

#[cfg(test)]
mod tests {
    use sprint_core::event::Seq;
    use sprint_core::ids::{ChangeId, RepoName};
    use sprint_core::status::{LoopPass, PassReason};
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn the_whole_fits_into_a_few_lines() {
        let count = |counts: &[(&str, u64)]| counts.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect();
        let view = CoordinatorStatus {
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
                QueueStatus {
                    repo: RepoName::new("web").unwrap(),
                    branch: "main".to_owned(),
                    halted: None,
                    upstream_trouble: None,
                    changes: vec![ChangeId::new(4), ChangeId::new(6)],
                    awaiting_approval: vec![ChangeId::new(4)],
                },
                QueueStatus {
                    repo: RepoName::new("api").unwrap(),
                    branch: "trunk".to_owned(),
                    halted: Some("the upstream refused the push".to_owned()),
                    upstream_trouble: None,
                    changes: vec![],
                    awaiting_approval: vec![],
                },
            ],
            loops: vec![],
        };
        let layout = Layout { width: Some(80), colour: false, now: Timestamp::from_millis(1_763_700_000_000) };
        insta::assert_snapshot!(text(&view, "127.0.0.1:50051", &layout));
    }

    #[test]
    fn each_loop_shows_its_last_pass() {
        let now = Timestamp::from_millis(1_763_700_000_000);
        let before = |ms: i64| Timestamp::from_millis(now.as_millis() - ms);
        let status = |name: &str, running_since, last_pass| LoopStatus {
            name: name.to_owned(),
            passes: 12,
            failures: 1,
            running_since,
            last_pass,
        };
        let pass = |reason, error: Option<&str>| {
            Some(LoopPass { at: before(4_000), reason, duration_us: 1_234, error: error.map(ToOwned::to_owned) })
        };
        let all = [
            status("merger", Some(before(90_000)), pass(PassReason::Tick, None)),
            status("scheduler", None, pass(PassReason::Notified, Some("the disk is full"))),
            status("supervisor", Some(before(1_000)), None),
        ];
        let layout = Layout { width: Some(100), colour: false, now };
        insta::assert_snapshot!(loops(&all, &layout));
    }
}
