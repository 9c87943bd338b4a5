//! What agents took, as people read it.

use serde::Serialize;
use sprint_core::agent::{AgentSaid, AgentState, Tokens, Usage, dollars};

use crate::render::{Cell, Column, Layout, short_duration};

/// What was taken under one heading.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct UsageRow {
    pub(crate) of: String,
    /// Workers whose agents have said something.
    pub(crate) workers: u64,
    #[serde(flatten)]
    pub(crate) usage: Usage,
    /// Workers whose agents have named no cost.
    pub(crate) without_cost: u64,
}

pub(crate) fn table(rows: &[UsageRow], layout: &Layout) -> String {
    let columns = [
        Column::word("OF"),
        Column::number("WORKERS"),
        Column::number("INPUT"),
        Column::number("CACHED"),
        Column::number("OUTPUT"),
        Column::number("COST"),
    ];
    let rows = rows.iter().map(|row| {
        let Usage { tokens, .. } = row.usage;
        vec![
            Cell::new(&row.of),
            Cell::new(row.workers),
            Cell::new(tokens.input.saturating_add(tokens.cache_written)),
            Cell::new(tokens.cached),
            Cell::new(tokens.output),
            Cell::new(cost(&row.usage)),
        ]
    });
    crate::render::table(layout, &columns, rows.collect())
}

/// What it cost, and where the figure comes from.
fn cost(usage: &Usage) -> String {
    let source = match (usage.is_guess, usage.by_table) {
        (false, false) => "",
        (true, false) => " (a guess)",
        (false, true) => " (by the table)",
        (true, true) => " (a guess, and by the table)",
    };
    usage.cost_micros.map_or_else(|| "unknown".to_owned(), |micros| dollars(micros) + source)
}

/// What an agent has said of itself, as rows.
pub(crate) fn of_agent(said: &AgentSaid) -> Vec<(&'static str, String)> {
    let AgentSaid { runtime, session, model, turns, usage, fault, state: _ } = said;
    let total = said.total();
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    vec![
        ("agent", runtime.clone()),
        ("model", known(model)),
        ("session", known(session)),
        ("turns", turns.to_string()),
        ("tokens", if usage.is_empty() { "unknown".to_owned() } else { in_words(total.tokens) }),
        ("cost", cost(&total) + if total.cost_micros.is_some() && !total.by_table { ", by its own word" } else { "" }),
        ("its fault", fault.as_ref().map(|fault| format!("{}: {}", fault.kind, fault.why)).unwrap_or_default()),
    ]
}

fn in_words(Tokens { input, cached, cache_written, output }: Tokens) -> String {
    format!("{} in, {cached} from the cache, {output} out", input.saturating_add(cache_written))
}

/// What an agent does, with the age of its last word.
pub(crate) fn doing(AgentState { doing, tool, at }: &AgentState, layout: &Layout) -> String {
    let tool = tool.as_ref().map(|tool| format!(" with {tool}")).unwrap_or_default();
    format!("{doing}{tool}, for {}", short_duration(layout.now.since(*at)))
}
