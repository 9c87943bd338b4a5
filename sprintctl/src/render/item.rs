//! Items, as people and scripts see them.

use serde::Serialize;
use sprint_core::attempt_ref::Kept;
use sprint_core::item::{ItemKind, Priority};
use sprint_core::note::ProgressSaid;
use sprint_core::retention::{KeptWork, Term};
use sprint_core::time::Timestamp;
use sprint_core::view::{HandOffView, ItemView};

use crate::render::reason::{Explained, explained};
use crate::render::{Cell, Column, Layout, ago, commas, fields, lines, section, table};

/// An item with what is kept of its attempts.
#[derive(Debug, Serialize)]
pub(crate) struct ItemDetails {
    #[serde(flatten)]
    pub(crate) item: ItemView,
    /// How far its worker is, by its own word.
    pub(crate) progress: Option<ProgressSaid>,
    pub(crate) hand_offs: Vec<HandOffView>,
    pub(crate) kept: Vec<Kept>,
    /// None while the item is not over: then it stays.
    pub(crate) kept_until: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) term: Term,
}

impl ItemDetails {
    pub(crate) fn new(
        item: ItemView,
        progress: Option<ProgressSaid>,
        hand_offs: Vec<HandOffView>,
        work: KeptWork,
    ) -> Self {
        let KeptWork { kept, term } = work;
        let kept_until = match term {
            Term::Open => None,
            Term::Until { time, .. } | Term::Past { time, .. } => Some(time),
        };
        Self { item, progress, hand_offs, kept, kept_until, term }
    }
}

/// Why nothing is kept of an item's work any more, if its time is over.
pub(crate) fn past(term: Term) -> Option<String> {
    match term {
        Term::Open | Term::Until { .. } => None,
        Term::Past { time, keep } => Some(format!(
            "its time ended at {time}; the coordinator keeps work for {} after an item is done or cancelled (--keep-work)",
            humantime::format_duration(keep)
        )),
    }
}

/// For how long what is kept is kept, or why nothing is.
fn term(kept: &[Kept], term: Term) -> Option<String> {
    match term {
        Term::Open => None,
        Term::Until { .. } if kept.is_empty() => None,
        Term::Until { time, keep } => Some(format!(
            "until {time}: the coordinator keeps work for {} after an item is done or cancelled (--keep-work)",
            humantime::format_duration(keep)
        )),
        Term::Past { .. } if kept.is_empty() => past(term).map(|why| format!("nothing: {why}")),
        // It goes within the hour.
        Term::Past { .. } => past(term),
    }
}

/// Items as a table; the repo has a column only where it makes a difference.
pub(crate) fn list(items: &[ItemView], layout: &Layout) -> String {
    let columns = [
        Column::number("ID"),
        Column::word("REPO"),
        Column::word("STAGE"),
        Column::word("KIND"),
        Column::word("PRIORITY"),
        Column::number("TRY"),
        Column::number("WORKER"),
        Column::word("NEEDS"),
        Column::text("TITLE"),
        Column::text("REASON"),
    ];
    let one_repo = items.windows(2).all(|pair| pair[0].repo == pair[1].repo);
    let all_tasks = items.iter().all(|item| item.kind == ItemKind::Task);
    let all_medium = items.iter().all(|item| item.priority == Priority::Medium);
    let unless = |plain: bool, value: &dyn std::fmt::Display| if plain { Cell::new("") } else { Cell::new(value) };
    let rows = items.iter().map(|item| {
        vec![
            Cell::new(item.id),
            unless(one_repo, &item.repo),
            Cell::state(item.stage),
            unless(all_tasks, &item.kind),
            unless(all_medium, &item.priority),
            if item.attempt.get() == 0 { Cell::new("") } else { Cell::new(item.attempt) },
            Cell::maybe(item.worker),
            Cell::new(some_needs(item)),
            Cell::gist(&item.title),
            Cell::gist(&item.reason),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// How many needs of an item a table shows.
const SHOWN_NEEDS: usize = 3;

/// Whether the table of these items leaves out needs.
pub(crate) fn cuts_needs(items: &[ItemView]) -> bool {
    items.iter().any(|item| item.needs.len() > SHOWN_NEEDS)
}

/// The first needs of an item: a table has no room for a hundred.
fn some_needs(item: &ItemView) -> String {
    let more = item.needs.len().saturating_sub(SHOWN_NEEDS);
    let shown = commas(item.needs.iter().take(SHOWN_NEEDS));
    if more == 0 { shown } else { format!("{shown} +{more}") }
}

/// How far a worker is, with the age of its word.
pub(crate) fn progress(ProgressSaid { text, at }: &ProgressSaid, layout: &Layout) -> String {
    format!("{text} ({} ago)", ago(layout, *at))
}

pub(crate) fn details(shown: &ItemDetails, explanation: &Explained, layout: &Layout) -> String {
    let ItemDetails { item, progress, hand_offs, kept, kept_until: _, term: how_long } = shown;
    let mut text = fields(&[
        ("item", item.id.to_string()),
        ("title", item.title.clone()),
        ("repo", item.repo.to_string()),
        ("kind", item.kind.to_string()),
        ("stage", item.stage.to_string()),
        ("priority", item.priority.to_string()),
        ("attempt", if item.attempt.get() == 0 { String::new() } else { item.attempt.to_string() }),
        ("failures", if item.failures == 0 { String::new() } else { item.failures.to_string() }),
        ("worker", item.worker.map(|worker| worker.to_string()).unwrap_or_default()),
        ("progress", progress.as_ref().map(|said| self::progress(said, layout)).unwrap_or_default()),
        ("conflict", item.conflict.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("change", item.change.map(|change| change.to_string()).unwrap_or_default()),
        ("commit", item.commit.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("parent", item.parent.map(|parent| parent.to_string()).unwrap_or_default()),
        ("found on", item.discovered_from.map(|item| format!("item {item}")).unwrap_or_default()),
        ("needs", commas(&item.needs)),
        ("labels", commas(&item.labels)),
        ("requires", commas(item.requires.iter().map(|(key, value)| format!("{key}={value}")))),
        ("run", item.run.clone().unwrap_or_default()),
        ("created", item.created_at.to_string()),
        ("updated", item.updated_at.to_string()),
    ]);
    text += &section("description", &item.description);
    let criteria = lines(item.acceptance.iter().map(|criterion| format!("- {criterion}")));
    text += &section("acceptance criteria", &criteria);
    for feedback in &item.feedback {
        text += &section(&format!("feedback of attempt {}", feedback.attempt), &feedback.text);
    }
    for HandOffView { attempt, text: handed_over, .. } in hand_offs {
        let lines = handed_over
            .sections()
            .into_iter()
            .flat_map(|(title, lines)| lines.into_iter().map(move |line| format!("{title}: {line}")));
        text += &section(&format!("handed over by attempt {attempt}"), &self::lines(lines));
    }
    let refs = kept.iter().map(|Kept { attempt, kind, label, late, name, commit }| {
        let late = if *late { ", came late" } else { "" };
        let label = label.as_ref().map(|label| format!(" {label}")).unwrap_or_default();
        format!("attempt {attempt}, {kind}{label}{late}: {} at {name}", commit.short())
    });
    let refs: Vec<String> = refs.chain(term(kept, *how_long)).collect();
    text += &section("kept", &lines(refs));
    text += &section("now", &explained(explanation, layout));
    text
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
