//! A repo: a git repository under management, with its limits, gates and runtimes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::RepoAddress;
use crate::gates::Gate;
use crate::ids::RepoName;
use crate::job::Runtime;
use crate::time::Timestamp;
use crate::worker::Role;

/// How often an item is tried when the repo does not say.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// A git repository under management.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repo {
    pub name: RepoName,
    /// The upstream, fetched from and pushed to; none when the coordinator's copy is the only one.
    pub url: Option<RepoAddress>,
    /// The target branch, without `refs/heads/`.
    pub branch: String,
    /// The command line of each role, for items that bring none.
    pub run: BTreeMap<Role, String>,
    /// The runtime of each role; `shell` when absent.
    pub runtimes: BTreeMap<Role, Runtime>,
    /// Gates for a target branch whose `sprint.toml` names none.
    pub gates: Vec<Gate>,
    pub max_attempts: u32,
    /// The most workers of a role at one time; no limit when absent.
    pub limits: BTreeMap<Role, u32>,
    /// Why the merge queue of this repo stands still, when it does.
    pub halted: Option<String>,
    pub created_at: Timestamp,
}

impl Repo {
    /// The ref that the merge queue moves.
    pub fn branch_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}
