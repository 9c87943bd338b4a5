//! `sprintctl context`: the coordinators that are known here.

use clap::Subcommand;
use serde::Serialize;
use sprint_core::ids::{ContextName, Fingerprint, TokenId};
use sprint_core::time::Timestamp;
use sprint_identity::connect::Credential;
use sprint_identity::context::{Context, ContextError, Contexts};
use sprint_identity::{fingerprint, key, trust};

use crate::failure::Failure;
use crate::output::{Output, note};
use crate::render::{Cell, Column, Layout, fields, table};

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts
    List,
    /// Use a context from now on
    Use {
        /// The context's name
        name: ContextName,
    },
    /// Show a context: its coordinator, whom it trusts and how it gets in
    Show {
        /// The context's name [default: the current one]
        name: Option<ContextName>,
    },
    /// Forget a context, and the credentials in it
    Remove {
        /// The context's name
        name: ContextName,
    },
}

/// A context as people and scripts see it: without anything secret.
#[derive(Debug, Serialize)]
pub(crate) struct ContextView {
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

impl ContextView {
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

impl ContextCommand {
    /// Does without a connection.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let contexts = Contexts::of_environment()?;
        match self {
            Self::List => {
                let current = contexts.current()?;
                let view = |(name, context)| ContextView::new(name, &context, current.as_ref());
                let views = readable(&contexts)?.into_iter().map(view).collect::<Vec<_>>();
                output.list(&views, "contexts; get into a coordinator with: sprintctl login", list)
            }
            Self::Use { name } => {
                let context = read(&contexts, &name)?;
                contexts.make_current(&name)?;
                output.one(&ContextView::new(name.clone(), &context, Some(&name)), one)
            }
            Self::Show { name } => {
                let current = contexts.current()?;
                let name = name.or_else(|| current.clone()).ok_or_else(|| unnamed("sprintctl context show NAME"))?;
                let context = read(&contexts, &name)?;
                output.one(&ContextView::new(name, &context, current.as_ref()), details)
            }
            Self::Remove { name } => remove(&contexts, &name),
        }
    }
}

/// Reads a context, and warns when others can read it too.
///
/// # Errors
/// [`ContextError`].
pub(crate) fn read(contexts: &Contexts, name: &ContextName) -> Result<Context, ContextError> {
    let context = contexts.get(name)?;
    if contexts.is_exposed(name)? {
        let path = contexts.path(name);
        note(&format!(
            "warning: others on this host can get at the credentials in {path}; shut them out with: chmod 600 {path}",
            path = path.display()
        ));
    }
    Ok(context)
}

/// All contexts that can be read, by name; says which cannot.
pub(crate) fn readable(contexts: &Contexts) -> Result<Vec<(ContextName, Context)>, ContextError> {
    let mut found = Vec::new();
    for name in contexts.names()? {
        match read(contexts, &name) {
            Ok(context) => found.push((name, context)),
            Err(error) => note(&format!("warning: the context \"{name}\" is passed over: {error}")),
        }
    }
    Ok(found)
}

/// Forgets a context; says what is current no more.
pub(crate) fn remove(contexts: &Contexts, name: &ContextName) -> Result<(), Failure> {
    let was_current = contexts.current()?.as_ref() == Some(name);
    contexts.remove(name)?;
    note(&format!("the context \"{name}\" is removed"));
    if was_current && !contexts.names()?.is_empty() {
        note("none is the current one now; choose one with: sprintctl context use NAME");
    }
    Ok(())
}

/// Nothing is named, and no context is the current one.
pub(crate) fn unnamed(example: &str) -> Failure {
    Failure::Usage(format!("no context is the current one; name the one that is meant: {example}"))
}

fn one(context: &ContextView, layout: &Layout) -> String {
    list(std::slice::from_ref(context), layout)
}

fn list(contexts: &[ContextView], layout: &Layout) -> String {
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
            Cell::maybe(context.expires_at.map(|at| crate::render::until(layout, at))),
        ]
    });
    table(layout, &columns, rows.collect())
}

fn details(context: &ContextView, layout: &Layout) -> String {
    let token = context.token_id.as_ref().map(ToString::to_string);
    fields(&[
        ("context", context.name.to_string()),
        ("coordinator", context.coordinator.clone()),
        ("current", if context.current { "yes" } else { "no" }.to_owned()),
        ("authority", context.authority.as_ref().map(|sha| format!("SHA-256 {sha}")).unwrap_or_default()),
        ("how", token.map_or_else(|| context.how.to_owned(), |id| format!("token {id}"))),
        (
            "expires",
            context.expires_at.map(|at| format!("{at} ({})", crate::render::until(layout, at))).unwrap_or_default(),
        ),
        ("from", if context.local { "the coordinator on this host wrote it" } else { "" }.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_show_where_they_lead_and_how_but_no_secret() {
        let certificate = ContextView {
            name: ContextName::new("local").unwrap(),
            coordinator: "127.0.0.1:50051".to_owned(),
            current: true,
            how: "certificate",
            token_id: None,
            expires_at: Some(Timestamp::from_millis(1_763_800_000_000)),
            authority: Some(Fingerprint::new("ab".repeat(32)).unwrap()),
            local: true,
        };
        let token = ContextView {
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
