//! `sprintctl context`.

use clap::Subcommand;
use sprint_core::ids::ContextName;
use sprint_identity::context::Contexts;

use crate::contexts::{read, readable};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::render::context::{ContextEntry, details, list, one};

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts
    List,
    /// Make a context the current one
    Use {
        /// The context's name
        name: ContextName,
    },
    /// Show a context: its coordinator, its certificate authority and its credentials
    Show {
        /// The context's name [default: the current one]
        name: Option<ContextName>,
    },
    /// Remove a context with its credentials
    Remove {
        /// The context's name
        name: ContextName,
    },
}

impl ContextCommand {
    /// Does without a connection.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let contexts = Contexts::of_environment()?;
        match self {
            Self::List => {
                let current = contexts.current()?;
                let view = |(name, context)| ContextEntry::new(name, &context, current.as_ref());
                let views = readable(&contexts)?.into_iter().map(view).collect::<Vec<_>>();
                output.list(&views, "contexts; log in to a coordinator with: sprintctl login", list)
            }
            Self::Use { name } => {
                let context = read(&contexts, &name)?;
                contexts.make_current(&name)?;
                output.one(&ContextEntry::new(name.clone(), &context, Some(&name)), one)
            }
            Self::Show { name } => {
                let current = contexts.current()?;
                let name = name.or_else(|| current.clone()).ok_or_else(|| unnamed("sprintctl context show NAME"))?;
                let context = read(&contexts, &name)?;
                output.one(&ContextEntry::new(name, &context, current.as_ref()), details)
            }
            Self::Remove { name } => remove(&contexts, &name),
        }
    }
}

/// Removes a context, and says so if it was the current one.
pub(crate) fn remove(contexts: &Contexts, name: &ContextName) -> Result<(), Failure> {
    let was_current = contexts.current()?.as_ref() == Some(name);
    contexts.remove(name)?;
    note(&format!("the context \"{name}\" is removed"));
    if was_current && !contexts.names()?.is_empty() {
        note("no context is the current one now; select one with: sprintctl context use NAME");
    }
    Ok(())
}

/// Nothing is named, and no context is the current one.
pub(crate) fn unnamed(example: &str) -> Failure {
    Failure::usage("no context is the current one").with_next(format!("name one: {example}"))
}
