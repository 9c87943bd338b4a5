//! Changes and merge queues, as people and scripts see them.

use std::time::Duration;

use serde::Serialize;
use sprint_core::change::{ChangeStateName, Direct};
use sprint_core::gates::Gate;
use sprint_core::ids::CommitId;
use sprint_core::protection::{Approval, Protection};
use sprint_core::view::{ChangeView, GateRunView, TrialView};

use crate::render::gate::gates;
use crate::render::reason::Explained;
use crate::render::{Cell, Column, Layout, ago, commas, fields, section, table};

/// A repo's queue, as scripts see it.
#[derive(Debug, Serialize)]
pub(crate) struct QueueGraph {
    pub(crate) changes: Vec<ChangeView>,
    pub(crate) trials: Vec<TrialView>,
}

pub(crate) fn list(changes: &[ChangeView], layout: &Layout) -> String {
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
            Cell::gist(&outlook(change)),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// The present step of a change, in a few words.
fn outlook(change: &ChangeView) -> String {
    if change.state == ChangeStateName::Queued && change.protection.as_ref().is_some_and(Protection::waits) {
        return "waits for approval".to_owned();
    }
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

pub(crate) fn graph(graph: &QueueGraph, layout: &Layout) -> String {
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

fn approval(approval: &Approval) -> String {
    format!("by {}: {}", approval.by, approval.reason)
}

pub(crate) fn details(change: &ChangeView, gate_list: &[Gate], explanation: &Explained) -> String {
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
        ("left out", change.left_out.clone().unwrap_or_default()),
        ("protected", change.protection.as_ref().map(Protection::in_words).unwrap_or_default()),
        (
            "approved",
            change.protection.as_ref().and_then(|found| found.approval.as_ref()).map(approval).unwrap_or_default(),
        ),
        ("created", change.created_at.to_string()),
        ("updated", change.updated_at.to_string()),
    ]);
    text += &section("gates", &gates(gate_list));
    text += &section("reason", &change.reason);
    text += &section("now", &explanation.lines.join("\n"));
    text
}

#[cfg(test)]
mod tests {
    use sprint_core::ids::{Attempt, ChangeId, ItemId, RepoName};
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
            left_out: None,
            protection: None,
            base: None,
            gates: vec![],
            created_at: Timestamp::from_millis(1_763_699_700_000),
            updated_at: now,
        };
        let layout = Layout { width: Some(80), colour: false, now };
        let explanation = Explained { reasons: vec![], lines: vec!["it is out of the queue".to_owned()], stuck: true };
        let text = details(&change, &[Gate::new("test", "./test.sh")], &explanation) + "\n" + &list(&[change], &layout);
        insta::assert_snapshot!(text);
    }
}
