//! The prompt of a worker on an item: a template by role, the repository's own or the one that ships, filled in from what
//! the record and the tree say.

use std::io::{self, Write};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{PROMPT, REASON, cut};
use crate::config::MergeMethod;
use crate::hand_off::HandOff;
use crate::ids::{Attempt, CommitId};
use crate::item::Item;
use crate::job::{EarlierWork, Role};
use crate::protection::PROMPTS;

/// The most characters of the description of another item than the worker's own.
const TOLD: usize = 2_000;
/// The most items above the worker's own that it is told of.
const PARENTS: usize = 3;
/// Steps of a template: far more than one needs, and few enough to be over at once.
const STEPS: u64 = 1_000_000;

/// The templates that ship, by the names under which a repository's own may include them.
const SHIPPED: [(&str, &str); 5] = [
    ("sprint/developer.md", include_str!("prompt/developer.md")),
    ("sprint/resolver.md", include_str!("prompt/resolver.md")),
    ("sprint/task.md", include_str!("prompt/task.md")),
    ("sprint/context.md", include_str!("prompt/context.md")),
    ("sprint/end.md", include_str!("prompt/end.md")),
];

/// The files of a feature, as specification kits lay them out below `specs/NAME/`.
const OF_FEATURE: [&str; 7] =
    ["spec.md", "plan.md", "tasks.md", "data-model.md", "research.md", "quickstart.md", "contracts"];
/// What holds for all work on a repository.
const CONSTITUTIONS: [&str; 3] = [".specify/memory/constitution.md", "memory/constitution.md", "CONSTITUTION.md"];

/// A repository's template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path} cannot be filled in: {why}")]
pub struct InvalidPrompt {
    pub path: String,
    pub why: String,
}

/// What a prompt is made of.
#[derive(Debug)]
pub struct Briefing<'a> {
    pub item: &'a Item,
    pub role: Role,
    pub attempt: Attempt,
    /// The target branch, without `refs/heads/`.
    pub branch: &'a str,
    /// Its tip when the attempt was given out.
    pub tip: &'a CommitId,
    pub method: MergeMethod,
    /// The items above it, the nearest first.
    pub parents: &'a [Item],
    /// The items that its work conflicts with.
    pub others: &'a [Item],
    /// Files of the tree that it is to read, by their paths.
    pub files: &'a [String],
    pub hand_off: Option<&'a HandOff>,
    pub earlier: Option<&'a EarlierWork>,
}

#[derive(Serialize)]
struct ItemTold<'a> {
    id: u64,
    kind: &'a str,
    title: &'a str,
    description: String,
    acceptance: &'a [String],
    priority: &'a str,
    labels: Vec<&'a str>,
}

impl<'a> ItemTold<'a> {
    fn whole(item: &'a Item) -> Self {
        Self {
            id: item.id.get(),
            kind: item.kind.as_str(),
            title: &item.title,
            description: item.description.trim_end().to_owned(),
            acceptance: &item.acceptance,
            priority: item.priority.as_str(),
            labels: item.labels.iter().map(String::as_str).collect(),
        }
    }

    fn in_brief(item: &'a Item) -> Self {
        let description: String = item.description.chars().take(TOLD).collect();
        Self { description: description.trim_end().to_owned(), ..Self::whole(item) }
    }
}

/// Where the template of a role is in a repository.
pub fn path(role: Role) -> String {
    format!("{PROMPTS}/{role}.md")
}

/// A template with what it is filled in from. One of a repository's own is filled in where it can do no harm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Form {
    /// By which name a person knows it.
    path: String,
    /// None for the one that ships.
    own: Option<String>,
    values: serde_json::Value,
}

impl Form {
    /// # Errors
    /// [`InvalidPrompt`]: what it is filled in from cannot be written.
    pub fn new(own: Option<String>, briefing: &Briefing<'_>) -> Result<Self, InvalidPrompt> {
        let is_resolver = briefing.item.conflict.is_some() && briefing.role == Role::Resolver;
        let shipped = if is_resolver { "sprint/resolver.md" } else { "sprint/developer.md" };
        let path = if own.is_some() { path(briefing.role) } else { shipped.to_owned() };
        let values = serde_json::to_value(values(briefing));
        let values = values.map_err(|error| InvalidPrompt { path: path.clone(), why: error.to_string() })?;
        Ok(Self { path, own, values })
    }

    /// Whether the template is the repository's own.
    pub const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The prompt.
    ///
    /// # Errors
    /// [`InvalidPrompt`]: nobody works by half a prompt.
    pub fn fill(&self) -> Result<String, InvalidPrompt> {
        let invalid = |error: &minijinja::Error| {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            InvalidPrompt { path: self.path.clone(), why: cut(&format!("{error}{cause}"), REASON) }
        };
        let mut templates = Environment::new();
        // A misspelt name is an error, not an empty sentence.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_auto_escape_callback(|_| AutoEscape::None);
        templates.set_trim_blocks(true);
        templates.set_lstrip_blocks(true);
        templates.set_keep_trailing_newline(true);
        templates.set_fuel(Some(STEPS));
        for (name, text) in SHIPPED.into_iter().chain(self.own.iter().map(|text| (self.path.as_str(), text.as_str()))) {
            templates.add_template(name, text).map_err(|error| invalid(&error))?;
        }
        let template = templates.get_template(&self.path).map_err(|error| invalid(&error))?;
        let mut text = Limited(vec![]);
        let values = Value::from_serialize(&self.values);
        template.render_captured_to(values, &mut text).map_err(|error| invalid(&error))?;
        Ok(String::from_utf8_lossy(&text.0).into_owned())
    }
}

fn values(told: &Briefing<'_>) -> Value {
    let Briefing { item, role, attempt, branch, tip, method, parents, others, files, hand_off, earlier } = told;
    let conflict = item.conflict.as_ref().filter(|_| *role == Role::Resolver).map(|conflict| {
        context! {
            attempt => conflict.attempt.get(),
            paths => conflict.paths,
            // A rebase makes each commit again and leaves merges out, with what they resolved.
            rebases => *method == MergeMethod::Rebase,
            others => others.iter().map(ItemTold::in_brief).collect::<Vec<_>>(),
        }
    });
    let handed_over = hand_off.map(|hand_off| {
        let sections = hand_off.text.sections().into_iter().filter(|(_, lines)| !lines.is_empty());
        let section = |(title, lines): (&str, Vec<&str>)| {
            context! { title => format!("{}{}", title[..1].to_uppercase(), &title[1..]), lines }
        };
        context! { attempt => hand_off.attempt.get(), sections => sections.map(section).collect::<Vec<_>>() }
    });
    let earlier = earlier.map(|earlier| {
        context! { attempt => earlier.attempt.get(), uncommitted => earlier.uncommitted.is_some() }
    });
    context! {
        item => ItemTold::whole(item),
        role => role.as_str(),
        attempt => attempt.get(),
        branch,
        tip => tip.as_str(),
        parents => parents.iter().take(PARENTS).map(ItemTold::in_brief).collect::<Vec<_>>(),
        files,
        conflict,
        handed_over,
        earlier,
    }
}

/// Takes as much as a prompt may have.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > PROMPT {
            return Err(io::Error::other(format!("it comes to more than {PROMPT} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The files that a worker on an item is to read: the constitution, and those of the features that it or an item above it
/// names, by a label `NAME` or a mention of `specs/NAME`.
pub fn files(item: &Item, parents: &[Item], is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found: Vec<String> =
        CONSTITUTIONS.iter().find(|path| is_there(path)).map(|path| (*path).to_owned()).into_iter().collect();
    for item in std::iter::once(item).chain(parents.iter().take(PARENTS)) {
        let by_label = item.labels.iter().map(|label| format!("specs/{label}"));
        for directory in by_label.chain(mentioned(&item.description)).chain(mentioned(&item.title)) {
            let paths = OF_FEATURE.iter().map(|name| format!("{directory}/{name}"));
            let new: Vec<String> = paths.filter(|path| !found.contains(path) && is_there(path)).collect();
            found.extend(new);
        }
    }
    found
}

/// The directories `specs/NAME` that a text mentions.
fn mentioned(text: &str) -> Vec<String> {
    let names = text.split("specs/").skip(1).map(|rest| {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        rest.split(|letter| !is_name(letter)).next().unwrap_or_default().trim_matches('.')
    });
    let mut found: Vec<String> = names.filter(|name| !name.is_empty()).map(|name| format!("specs/{name}")).collect();
    found.truncate(20);
    found.dedup();
    found
}

#[cfg(test)]
#[path = "prompt_tests.rs"]
mod tests;
