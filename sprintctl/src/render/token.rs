//! Tokens, as people and scripts see them.

use serde::Serialize;
use sprint_core::token::TokenKind;
use sprint_core::view::TokenView;

use crate::render::{Cell, Column, Layout, table, until};
use crate::target::is_loopback;

/// A token as scripts see it.
#[derive(Debug, Serialize)]
pub(crate) struct TokenEntry {
    #[serde(flatten)]
    pub(crate) view: TokenView,
    pub(crate) state: &'static str,
    /// The token itself; only once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

impl TokenEntry {
    pub(crate) fn new(view: TokenView, layout: &Layout) -> Self {
        Self { state: view.state(layout.now), view, token: None }
    }
}

/// The line to type with a new token.
pub(crate) fn hints(view: &TokenView, address: &str, token: &str, layout: &Layout) -> String {
    let TokenView { kind, uses, name_prefix, expires_at, .. } = view;
    let end = until(layout, *expires_at);
    let mut text = match kind {
        TokenKind::Outpost => {
            let name = if name_prefix.is_empty() { String::new() } else { format!(" --name {name_prefix}1") };
            let who = if *uses == 1 { "one outpost".to_owned() } else { format!("{uses} outposts") };
            format!(
                "{who} can join with it; it expires {end}:\n  outpost-agent join --coordinator {address} --token {token}{name}"
            )
        }
        TokenKind::Admin | TokenKind::Operator | TokenKind::Viewer => format!(
            "it admits its holder as {kind}; it expires {end}:\n  sprintctl login --coordinator {address} --token {token}"
        ),
    };
    if address.rsplit_once(':').is_some_and(|(host, _)| is_loopback(host)) {
        text += "\non another host, replace the address with this host's name or address";
    }
    text
}

pub(crate) fn list(tokens: &[TokenEntry], layout: &Layout) -> String {
    let columns = [
        Column::word("ID"),
        Column::word("KIND"),
        Column::word("FOR"),
        Column::number("USES"),
        Column::word("STATE"),
        Column::word("EXPIRES"),
        Column::text("BY"),
    ];
    let rows = tokens.iter().map(|TokenEntry { view, state, token: _ }| {
        let (whom, uses) = match view.kind {
            TokenKind::Outpost => (format!("{}*", view.name_prefix), format!("{}/{}", view.used, view.uses)),
            TokenKind::Admin | TokenKind::Operator | TokenKind::Viewer => (view.name.clone(), String::new()),
        };
        vec![
            Cell::new(&view.id),
            Cell::new(view.kind),
            Cell::new(whom),
            Cell::new(uses),
            Cell::state(state),
            Cell::new(until(layout, view.expires_at)),
            Cell::new(&view.created_by),
        ]
    });
    table(layout, &columns, rows.collect())
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
