//! Agents that can be run, as people read them.

use std::collections::BTreeMap;

use serde::Serialize;
use sprint_core::ids::OutpostName;
use sprint_core::runtime::Runtime;

use crate::render::{Cell, Column, Layout, commas, fields, table};

/// A runtime, and the outposts that have it.
#[derive(Debug, Serialize)]
pub(crate) struct RuntimeView {
    pub(crate) name: String,
    /// None for one that only an outpost knows.
    pub(crate) runtime: Option<Runtime>,
    /// Its version by outpost.
    pub(crate) outposts: BTreeMap<OutpostName, Found>,
}

/// A runtime on an outpost.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) version: String,
    /// Whether Sprint's tests have run with this version.
    pub(crate) verified: bool,
    /// Whether a login was found there; unknown of an outpost of an earlier release.
    pub(crate) has_login: Option<bool>,
}

pub(crate) fn list(views: &[RuntimeView], layout: &Layout) -> String {
    let columns =
        [Column::word("NAME"), Column::word("CHANNEL"), Column::word("VERIFIED"), Column::text("ON OUTPOSTS")];
    let rows = views.iter().map(|view| {
        let runtime = view.runtime.as_ref();
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        vec![
            Cell::new(&view.name),
            Cell::new(known(runtime.map(|runtime| runtime.channel.to_string()))),
            Cell::new(known(runtime.map(|runtime| versions(&runtime.verified)))),
            Cell::new(places(view)),
        ]
    });
    table(layout, &columns, rows.collect())
}

fn versions(verified: &[String]) -> String {
    if verified.is_empty() { "none".to_owned() } else { verified.join(", ") }
}

fn places(view: &RuntimeView) -> String {
    let place = |(outpost, Found { version, verified, has_login }): (_, &Found)| {
        let doubt = match (*verified, *has_login) {
            (true, Some(false)) => " (no login there)",
            (true, _) => "",
            (false, Some(false)) => " (not verified, no login there)",
            (false, _) => " (not verified)",
        };
        format!("{outpost}: {version}{doubt}")
    };
    if view.outposts.is_empty() { "none".to_owned() } else { commas(view.outposts.iter().map(place)) }
}

pub(crate) fn details(view: &RuntimeView) -> String {
    let mut rows = vec![("runtime", view.name.clone())];
    if let Some(runtime) = &view.runtime {
        rows.extend([
            ("is", runtime.about.clone()),
            ("channel", runtime.channel.to_string()),
            ("prompt", runtime.prompt.to_string()),
            ("command", runtime.command.join(" ")),
            (
                "environment",
                runtime.env.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
            ),
            ("login files", commas(runtime.host.files.iter().map(|file| format!("~/{}", file.from)))),
            ("login variables", commas(&runtime.host.env)),
            ("verified", versions(&runtime.verified)),
        ]);
    }
    rows.push(("on outposts", places(view)));
    fields(&rows)
}

#[cfg(test)]
mod tests {
    use sprint_core::runtime::Catalog;
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn an_agent_shows_where_it_is_and_whether_that_version_was_tried() {
        let runtime = Catalog::shipped().get("codex").cloned();
        let found = |version: &str, verified, has_login| Found {
            version: version.to_owned(),
            verified,
            has_login: Some(has_login),
        };
        let outposts = [("a", found("0.163.0", true, true)), ("b", found("0.164.0", false, false))];
        let outposts = outposts.into_iter().map(|(name, found)| (OutpostName::new(name).unwrap(), found)).collect();
        let views = [
            RuntimeView { name: "codex".to_owned(), runtime, outposts },
            RuntimeView { name: "mine".to_owned(), runtime: None, outposts: [].into() },
        ];
        let layout = Layout { width: Some(100), colour: false, now: Timestamp::default() };
        insta::assert_snapshot!(list(&views, &layout) + "\n" + &details(&views[0]));
    }
}
