//! Which agent a role runs, as people name it.

use std::path::Path;

use clap::Args;
use sprint_core::job::Role;
use sprint_core::runtime::{Catalog, Runtime};

use crate::args::Pair;
use crate::failure::Failure;

/// The agent of the developers.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The developers' agent, instead of a command line: claude, codex, grok, aider or another that `runtime list` shows
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pub(crate) agent: Option<String>,
    /// The model that the agent is to use [default: its own choice]
    #[arg(long, value_name = "MODEL", requires = "agent")]
    pub(crate) model: Option<String>,
}

impl AgentArgs {
    /// The developers' runtime; none where none is named.
    pub(crate) fn runtime(self) -> Option<Runtime> {
        let Self { agent, model } = self;
        agent.map(|name| Runtime { model, ..Runtime::named(name) })
    }
}

/// The runtime that a text means: the name of one, or a file that holds one.
///
/// # Errors
/// The file cannot be read, or is no runtime.
pub(crate) fn runtime(text: &str) -> Result<Runtime, Failure> {
    if Catalog::shipped().get(text).is_none() && (text.contains('/') || Path::new(text).exists()) {
        return read(Path::new(text));
    }
    Ok(Runtime::named(text))
}

/// The runtimes of roles; those of the developers come last.
///
/// # Errors
/// Those of [`runtime`].
pub(crate) fn runtimes(
    by_role: Vec<Pair<Role, String>>,
    developers: AgentArgs,
) -> Result<Vec<(Role, Runtime)>, Failure> {
    let mut all = by_role
        .into_iter()
        .map(|Pair { key, value }| Ok((key, runtime(&value)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    all.extend(developers.runtime().map(|runtime| (Role::Developer, runtime)));
    Ok(all)
}

fn read(path: &Path) -> Result<Runtime, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::io(format!("reading {}", path.display())))?;
    let why = |why: &str| {
        Failure::new("client.invalid_runtime", format!("{} is not a runtime: {}", path.display(), why.trim_end()))
            .with_next("a runtime needs name and command; docs/reference/runtime.md lists its keys")
    };
    let runtime: Runtime = toml::from_str(&text).map_err(|error| why(&error.to_string()))?;
    runtime.validate().map_err(|error| why(&error.to_string()))?;
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_with_a_misspelt_key_is_refused_by_its_file_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, "name = \"a\"\ncomand = [\"x\"]\n").unwrap();
        let failure = runtime(&path.display().to_string()).unwrap_err().to_string();
        assert!(failure.contains("agent.toml is not a runtime") && failure.contains("comand"), "{failure}");
    }

    #[test]
    fn a_name_means_what_the_outpost_has_and_a_path_a_file() {
        assert_eq!(runtime("claude").unwrap(), Runtime::named("claude"));
        assert!(runtime("./nowhere.toml").unwrap_err().to_string().contains("nowhere.toml"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fast.toml");
        std::fs::write(&path, "name = \"claude\"\nmodel = \"small\"\n").unwrap();
        let found = runtime(&path.display().to_string()).unwrap();
        assert_eq!(
            (found.name.as_str(), found.model.as_deref(), found.is_reference()),
            ("claude", Some("small"), true)
        );
    }
}
