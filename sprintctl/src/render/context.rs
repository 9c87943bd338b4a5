//! Contexts, as people and scripts see them.

use serde::Serialize;
use sprint_core::ids::{ContextName, Fingerprint};
use sprint_core::time::Timestamp;
use sprint_core::token::TokenId;
use sprint_identity::connect::Credential;
use sprint_identity::context::Context;
use sprint_identity::{fingerprint, key, trust};

use crate::render::{Cell, Column, Layout, fields, table, until};

/// A context as people and scripts see it: without anything secret.
#[derive(Debug, Serialize)]
pub(crate) struct ContextEntry {
    name: ContextName,
    coordinator: String,
    current: bool,
    /// `certificate`, `token` or `none`.
    how: &'static str,
    /// The token's public part.
    token_id: Option<TokenId>,
    /// When the certificate ceases to count; a token's end only its coordinator knows.
    expires_at: Option<Timestamp>,
    /// The certificate authority's fingerprint.
    authority: Option<Fingerprint>,
    /// Whether the coordinator on this host wrote it by itself.
    local: bool,
}

impl ContextEntry {
    pub(crate) fn new(name: ContextName, context: &Context, current: Option<&ContextName>) -> Self {
        let first = |pem: &str| trust::certificates(pem).ok().and_then(|found| found.into_iter().next());
        let (how, token_id, expires_at) = match context.credential() {
            Ok(Credential::Certificate { chain_pem, key_pem: _ }) => {
                ("certificate", None, first(&chain_pem).and_then(|certificate| key::expiry_of(&certificate)))
            }
            Ok(Credential::Token(token)) => ("token", Some(token.id), None),
            Err(_) => ("token", None, None),
            Ok(Credential::None) => ("none", None, None),
        };
        Self {
            current: current == Some(&name),
            name,
            coordinator: context.coordinator.clone(),
            how,
            token_id,
            expires_at,
            authority: first(&context.trust).map(|certificate| fingerprint(&certificate)),
            local: context.data_dir.is_some(),
        }
    }
}

pub(crate) fn one(context: &ContextEntry, layout: &Layout) -> String {
    list(std::slice::from_ref(context), layout)
}

pub(crate) fn list(contexts: &[ContextEntry], layout: &Layout) -> String {
    let columns = [
        Column::word("NAME"),
        Column::word("COORDINATOR"),
        Column::word("CURRENT"),
        Column::word("HOW"),
        Column::word("EXPIRES"),
    ];
    let rows = contexts.iter().map(|context| {
        vec![
            Cell::new(&context.name),
            Cell::new(&context.coordinator),
            Cell::new(if context.current { "*" } else { "" }),
            Cell::new(context.how),
            Cell::maybe(context.expires_at.map(|at| until(layout, at))),
        ]
    });
    table(layout, &columns, rows.collect())
}

pub(crate) fn details(context: &ContextEntry, layout: &Layout) -> String {
    let token = context.token_id.as_ref().map(ToString::to_string);
    fields(&[
        ("context", context.name.to_string()),
        ("coordinator", context.coordinator.clone()),
        ("current", if context.current { "yes" } else { "no" }.to_owned()),
        ("authority", context.authority.as_ref().map(|sha| format!("SHA-256 {sha}")).unwrap_or_default()),
        ("how", token.map_or_else(|| context.how.to_owned(), |id| format!("token {id}"))),
        ("expires", context.expires_at.map(|at| format!("{at} ({})", until(layout, at))).unwrap_or_default()),
        ("from", if context.local { "the coordinator on this host wrote it" } else { "" }.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_show_where_they_lead_and_how_but_no_secret() {
        let certificate = ContextEntry {
            name: ContextName::new("local").unwrap(),
            coordinator: "127.0.0.1:50051".to_owned(),
            current: true,
            how: "certificate",
            token_id: None,
            expires_at: Some(Timestamp::from_millis(1_763_800_000_000)),
            authority: Some(Fingerprint::new("ab".repeat(32)).unwrap()),
            local: true,
        };
        let token = ContextEntry {
            name: ContextName::new("build.example.org").unwrap(),
            coordinator: "build.example.org:50051".to_owned(),
            current: false,
            how: "token",
            token_id: TokenId::new("1a2b3c4d").ok(),
            expires_at: None,
            authority: None,
            local: false,
        };
        let layout = Layout { width: Some(80), colour: false, now: Timestamp::from_millis(1_763_700_000_000) };
        let shown = [details(&certificate, &layout), details(&token, &layout)].join("\n");
        insta::assert_snapshot!(shown + "\n" + &list(&[certificate, token], &layout));
    }
}
