//! The git settings of the agent's user: only the filters count, such as Git LFS, which files in a checkout need.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::host::environment;

/// What the keys begin with.
const FILTERS: &[&str] = &["filter.", "lfs."];

/// The user's filters, as variables for git. They are read once, when the agent has started.
pub(super) fn filters() -> impl Iterator<Item = (String, String)> {
    static FOUND: OnceLock<Vec<(String, String)>> = OnceLock::new();
    FOUND.get_or_init(|| variables(&list().unwrap_or_default())).iter().cloned()
}

/// What git lists; none where it cannot: a checkout that needs a filter then says so.
fn list() -> Option<String> {
    let mut command = Command::new("git");
    command.env_clear().envs(environment::plain()).current_dir("/").args(["config", "--list", "--includes", "-z"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The filters among what `git config --list -z` prints: a key, and after a line break its value; a key alone is true.
fn variables(listed: &str) -> Vec<(String, String)> {
    let entries = listed.split('\0').map(|entry| entry.split_once('\n').unwrap_or((entry, "true")));
    let filters = entries.filter(|(key, _)| FILTERS.iter().any(|start| key.starts_with(start)));
    let mut variables = vec![];
    for (number, (key, value)) in filters.enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{number}"), key.to_owned()));
        variables.push((format!("GIT_CONFIG_VALUE_{number}"), value.to_owned()));
    }
    variables.push(("GIT_CONFIG_COUNT".to_owned(), (variables.len() / 2).to_string()));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_filters_count() {
        let listed = "core.autocrlf\ntrue\0filter.lfs.smudge\ngit-lfs smudge -- %f\0filter.lfs.required\0";
        let expected = [
            ("GIT_CONFIG_KEY_0", "filter.lfs.smudge"),
            ("GIT_CONFIG_VALUE_0", "git-lfs smudge -- %f"),
            ("GIT_CONFIG_KEY_1", "filter.lfs.required"),
            ("GIT_CONFIG_VALUE_1", "true"),
            ("GIT_CONFIG_COUNT", "2"),
        ];
        assert_eq!(variables(listed), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(variables(""), [("GIT_CONFIG_COUNT".to_owned(), "0".to_owned())]);
    }
}
