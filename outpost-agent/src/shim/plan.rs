//! What the shim is told to run, and what it says of how that ended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sprint_core::job::{PromptDelivery, StepResult};

/// `exec.json`: everything the shim needs; it asks nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// 1, and one more each time the worker was sent back.
    pub(crate) round: u32,
    pub(crate) workspace: PathBuf,
    /// The workspace's git directory, inside the mirror.
    pub(crate) git_dir: PathBuf,
    pub(crate) prompt_file: PathBuf,
    /// The whole environment of the steps, apart from `TERM`.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) steps: Vec<PlanStep>,
}

/// One command, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanStep {
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) prompt: PromptDelivery,
    pub(crate) success_codes: Vec<i32>,
    pub(crate) timeout_ms: u64,
}

/// Why the shim came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// Its steps ended, or one of them failed.
    Completed,
    /// It was sent SIGTERM.
    Terminated,
    /// Its terminal went away.
    HungUp,
    /// It could not do its own work.
    Broken,
}

/// `exit.json`: how a round ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) round: u32,
    pub(crate) cause: Cause,
    /// The last step's.
    pub(crate) code: Option<i32>,
    /// Those that were begun, in order.
    pub(crate) steps: Vec<StepResult>,
    /// Whether the disk was full when a step ended.
    pub(crate) disk_full: bool,
    /// What went wrong, where the results alone do not say.
    pub(crate) message: Option<String>,
}
