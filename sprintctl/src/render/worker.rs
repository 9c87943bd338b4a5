//! Workers, as people read them.

use sprint_core::view::WorkerView;

use crate::render::item::progress;
use crate::render::usage::{doing, of_agent};
use crate::render::{Cell, Column, Layout, ago, fields, section, short_duration, table};

pub(crate) fn list(workers: &[WorkerView], layout: &Layout) -> String {
    let columns = [
        Column::number("ID"),
        Column::word("ROLE"),
        Column::number("ITEM"),
        Column::number("TRY"),
        Column::word("OUTPOST"),
        Column::word("STATE"),
        Column::number("EXIT"),
        Column::word("AGE"),
        Column::word("RAN"),
        Column::text("AGENT"),
        Column::text("REASON"),
    ];
    let rows = workers.iter().map(|worker| {
        vec![
            Cell::new(worker.id),
            Cell::new(worker.role),
            Cell::maybe(worker.item),
            Cell::maybe(worker.attempt),
            Cell::new(&worker.outpost),
            Cell::state(worker.state),
            Cell::maybe(worker.exit_code),
            Cell::new(ago(layout, worker.assigned_at)),
            Cell::new(ran(worker, layout)),
            Cell::new(agent(worker, layout)),
            Cell::gist(&worker.reason),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// What its agent does while it is at work.
fn agent(worker: &WorkerView, layout: &Layout) -> String {
    let said = worker.agent.as_ref().filter(|_| worker.ended_at.is_none());
    let state = said.and_then(|said| Some((&said.runtime, said.state.as_ref()?)));
    state.map(|(runtime, state)| format!("{runtime} is {}", doing(state, layout))).unwrap_or_default()
}

/// How long its command ran, or runs by now.
fn ran(worker: &WorkerView, layout: &Layout) -> String {
    let until = worker.ended_at.unwrap_or(layout.now);
    worker.started_at.map(|started| short_duration(until.since(started))).unwrap_or_default()
}

pub(crate) fn details(worker: &WorkerView, layout: &Layout) -> String {
    let time = |time: Option<sprint_core::time::Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let mut text = fields(&[
        ("worker", worker.id.to_string()),
        ("role", worker.role.to_string()),
        ("repo", worker.repo.to_string()),
        (
            "item",
            worker
                .item
                .zip(worker.attempt)
                .map(|(item, attempt)| format!("{item} (attempt {attempt})"))
                .unwrap_or_default(),
        ),
        ("gate", worker.gate.as_ref().map(|gate| format!("{} of trial {}", gate.name, gate.trial)).unwrap_or_default()),
        ("outpost", worker.outpost.to_string()),
        ("state", worker.state.to_string()),
        ("exit code", worker.exit_code.map(|code| code.to_string()).unwrap_or_default()),
        ("base", worker.base.to_string()),
        ("assigned", worker.assigned_at.to_string()),
        ("started", time(worker.started_at)),
        ("ended", time(worker.ended_at)),
        ("ran", ran(worker, layout)),
    ]);
    if let Some(said) = &worker.agent {
        let mut rows = of_agent(said);
        if worker.ended_at.is_none() {
            rows.extend(said.state.as_ref().map(|state| ("does", doing(state, layout))));
        }
        text += &section("by its agent's word", &fields(&rows));
    }
    text += &section(
        "progress, by its own word",
        &worker.progress.as_ref().map(|said| progress(said, layout)).unwrap_or_default(),
    );
    text += &section("reason", &worker.reason);
    text
}

#[cfg(test)]
mod tests {
    use sprint_core::ids::{Attempt, CommitId, ItemId, OutpostName, RepoName, WorkerId};
    use sprint_core::job::Role;
    use sprint_core::time::Timestamp;
    use sprint_core::worker::WorkerStateName;

    use super::*;

    #[test]
    fn a_worker_that_failed_shows_how_it_ended() {
        let at = |seconds: i64| Timestamp::from_millis(1_763_700_000_000 + seconds * 1_000);
        let worker = WorkerView {
            id: WorkerId::new(41),
            item: Some(ItemId::new(12)),
            attempt: Some(Attempt::new(2)),
            role: Role::Developer,
            outpost: OutpostName::new("local-1").unwrap(),
            state: WorkerStateName::Failed,
            exit_code: Some(1),
            reason: "the command exited with 1\n\nlast lines of its terminal".to_owned(),
            repo: RepoName::new("web").unwrap(),
            gate: None,
            base: CommitId::new("ab".repeat(20)).unwrap(),
            assigned_at: at(0),
            started_at: Some(at(1)),
            ended_at: Some(at(75)),
            agent: None,
            progress: None,
        };
        let layout = Layout { width: Some(80), colour: false, now: at(600) };
        insta::assert_snapshot!(details(&worker, &layout) + "\n" + &list(&[worker], &layout));
    }
}
