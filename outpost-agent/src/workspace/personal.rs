//! The git settings of the agent's user: only the filters count, which files in a checkout need.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sprint_core::git_settings;

use crate::host::environment;

/// What the keys begin with.
const FILTERS: &[&str] = &["filter."];
/// Ours; see `lfs`.
const OURS: &str = "filter.lfs.";

/// The user's filters, as variables for git. They are read once, when the agent has started.
pub(super) fn filters() -> impl Iterator<Item = (String, String)> {
    static FOUND: OnceLock<Vec<(String, String)>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let listed = list().unwrap_or_default();
            let mut filters = git_settings::among(&listed, FILTERS);
            filters.retain(|(key, _)| !key.starts_with(OURS));
            git_settings::variables(&filters)
        })
        .iter()
        .cloned()
}

/// What git lists; none where it cannot: a checkout that needs a filter then says so.
fn list() -> Option<String> {
    let mut command = Command::new("git");
    command.env_clear().envs(environment::plain()).current_dir("/").args(["config", "--list", "--includes", "-z"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
