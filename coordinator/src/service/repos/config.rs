//! What a repo's `sprint.toml` says at a commit.

use std::collections::BTreeMap;

use sprint_core::config::{self, CONFIG_FILE, RepoConfig};
use sprint_core::footprint::Rules;
use sprint_core::gates::Gate;
use sprint_core::ids::{CommitId, TreeId};
use sprint_core::recipe::{self, Recipe, WORKTREE_FILES};
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;

use crate::git::GitRepo;
use crate::service::ServiceError;

/// What the `sprint.toml` at a commit says, with the gates that the operator has set for the repo.
///
/// # Errors
/// [`Code::ConfigInvalid`]: a file that cannot be read is an error, not "no gates".
pub fn config_at(git: &GitRepo, repo: &Repo, commit: &CommitId) -> Result<RepoConfig, ServiceError> {
    config_in(git, repo, &git.tree_of(commit)?).map_err(|error| {
        if error.code() != Code::ConfigInvalid {
            return error;
        }
        ServiceError::new(Code::ConfigInvalid, format!("on branch {}: {error}", repo.branch))
    })
}

/// As [`config_at`], in a tree that may become the branch's.
///
/// # Errors
/// Those of [`config_at`].
pub(crate) fn config_in(git: &GitRepo, repo: &Repo, tree: &TreeId) -> Result<RepoConfig, ServiceError> {
    let own = || RepoConfig { gates: repo.gates.clone(), ..RepoConfig::default() };
    let Some(file) = git.read_file_in(tree, CONFIG_FILE)? else { return Ok(own()) };
    let text = String::from_utf8(file)
        .map_err(|_| ServiceError::new(Code::ConfigInvalid, format!("{CONFIG_FILE} is not UTF-8")))?;
    let mut found = config::parse(&text).map_err(|error| ServiceError::new(Code::ConfigInvalid, error.to_string()))?;
    rules(&found)?;
    // Who may change the file does not change what the operator has set: of two with one name the operator's counts.
    let is_set = |gate: &Gate| repo.gates.iter().any(|set| set.name == gate.name);
    let of_file = std::mem::take(&mut found.gates).into_iter().filter(|gate| !is_set(gate));
    found.gates = repo.gates.iter().cloned().chain(of_file).collect();
    Ok(found)
}

/// How a workspace is made ready at a commit: as `sprint.toml` says, or else as other programs' files do.
///
/// # Errors
/// Those of [`config_at`].
pub(crate) fn recipe_at(git: &GitRepo, repo: &Repo, commit: &CommitId) -> Result<Recipe, ServiceError> {
    let tree = git.tree_of(commit)?;
    if let Some(recipe) = config_in(git, repo, &tree)?.workspace {
        return Ok(recipe);
    }
    let mut files = BTreeMap::new();
    for name in WORKTREE_FILES {
        if let Some(content) = git.read_file_in(&tree, name)? {
            files.insert(name, content);
        }
    }
    Ok(recipe::foreign(&files))
}

/// How the repo widens what changes touch.
pub(crate) fn rules(config: &RepoConfig) -> Result<Rules, ServiceError> {
    Rules::new(&config.footprint)
        .map_err(|error| ServiceError::new(Code::ConfigInvalid, format!("{CONFIG_FILE}: {error}")))
}
