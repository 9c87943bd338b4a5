//! The git settings of the agent's user: only the filters count, which files in a checkout need.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sprint_core::git_settings;

use crate::host::environment;
use crate::host::paths::WorkerDir;

/// What the keys begin with.
const FILTERS: &[&str] = &["filter."];
/// Ours; see `lfs`.
const OURS: &str = "filter.lfs.";

/// What runs a filter as a worker would, if workers are confined.
static CONFINED: OnceLock<Option<String>> = OnceLock::new();

/// Has the filters of the agent's own git run in a confinement: a command such as `sh ./clean.sh` is a script of the
/// repository, and any worker may have written it. `dir` holds the plan of a worker for that.
pub(crate) fn confine(confined: Option<(&Path, &WorkerDir)>) {
    let quoted = |path: &Path| quoted(&path.to_string_lossy());
    let words = confined.map(|(program, dir)| format!("{} within {} \"$PWD\"", quoted(program), quoted(dir.path())));
    CONFINED.set(words).ok();
}

/// The user's filters, as variables for a git that is confined itself. They are read once, when the agent has started.
pub(super) fn filters() -> impl Iterator<Item = (String, String)> {
    static FOUND: OnceLock<Vec<(String, String)>> = OnceLock::new();
    FOUND.get_or_init(|| git_settings::variables(&found())).iter().cloned()
}

/// The same for the agent's own git.
pub(super) fn confined_filters() -> impl Iterator<Item = (String, String)> {
    static FOUND: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let confined = |(key, value): (String, String)| {
        let is_command = [".clean", ".smudge", ".process"].iter().any(|end| key.ends_with(end));
        let words = CONFINED.get().and_then(Option::as_deref).filter(|_| is_command && !value.is_empty());
        let value = words.map_or_else(|| value.clone(), |words| within(words, &value));
        (key, value)
    };
    FOUND
        .get_or_init(|| git_settings::variables(&found().into_iter().map(confined).collect::<Vec<_>>()))
        .iter()
        .cloned()
}

fn found() -> Vec<(String, String)> {
    let listed = list().unwrap_or_default();
    let mut filters = git_settings::among(&listed, FILTERS);
    filters.retain(|(key, _)| !key.starts_with(OURS));
    filters
}

/// A filter's command line within a confinement. Git puts a file's name in the place of `%f`, quoted for one shell: it is
/// an argument here, and no part of what the inner shell reads.
fn within(words: &str, command: &str) -> String {
    format!("{words} sh -c {} filter %f", quoted(&command.replace("%f", "\"$1\"")))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What git lists; none where it cannot: a checkout that needs a filter then says so.
fn list() -> Option<String> {
    let mut command = Command::new("git");
    command.env_clear().envs(environment::plain()).current_dir("/").args(["config", "--list", "--includes", "-z"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_one_argument_whatever_it_says() {
        let command = within("'/a b/agent' within '/data/filters' \"$PWD\"", "x 'y z' | sed s/%/%%/ -- %f");
        let expected =
            r#"'/a b/agent' within '/data/filters' "$PWD" sh -c 'x '\''y z'\'' | sed s/%/%%/ -- "$1"' filter %f"#;
        assert_eq!(command, expected);
    }
}
