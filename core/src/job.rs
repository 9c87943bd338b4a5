//! What an outpost is asked to run, and what it says of it: the contract between the two sides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gates::{Gate, GateVerdict, duration_text};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use crate::worker::{Role, Terminal};

crate::words! {
    /// How a runtime is given its prompt.
    pub enum PromptDelivery as "prompt delivery" {
        /// It reads the file that `SPRINT_PROMPT_FILE` names.
        File => "file",
        /// The prompt is its standard input.
        Stdin => "stdin",
        /// The prompt is its last argument.
        Argument => "argument",
    }
}

/// How an agent program is started, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    pub name: String,
    /// The program and its arguments; `{{ run }}` is the item's command line,
    /// `{{ prompt_file }}` the prompt's path.
    pub command: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default = "Runtime::default_delivery")]
    pub prompt: PromptDelivery,
    /// The exit codes that mean "I am done"; anything else is a failure.
    #[serde(default = "Runtime::default_success")]
    pub success_codes: Vec<i32>,
}

impl Runtime {
    const fn default_delivery() -> PromptDelivery {
        PromptDelivery::File
    }

    fn default_success() -> Vec<i32> {
        vec![0]
    }

    /// A command line in `/bin/sh`.
    pub fn shell() -> Self {
        Self {
            name: "shell".to_owned(),
            command: vec!["/bin/sh".to_owned(), "-c".to_owned(), "{{ run }}".to_owned()],
            env: BTreeMap::new(),
            prompt: Self::default_delivery(),
            success_codes: Self::default_success(),
        }
    }
}

/// One command of a job; the next starts only when this one succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The gate's name, or the role for a worker on an item.
    pub name: String,
    pub runtime: Runtime,
    /// The command line that the runtime's `{{ run }}` stands for.
    pub run: String,
    #[serde(with = "duration_text")]
    pub timeout: Duration,
}

/// Work of an earlier attempt that another one starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Where its commits end; the commit that it started from, if it had made none.
    pub commit: CommitId,
    /// The snapshot of what it had not committed: a commit whose one parent is `commit`.
    pub uncommitted: Option<CommitId>,
    /// The ref of the coordinator's repository that reaches both.
    pub from_ref: String,
}

/// Everything an outpost needs to run a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub worker: WorkerId,
    pub repo: RepoName,
    pub item: ItemId,
    pub attempt: Attempt,
    pub role: Role,
    /// The candidate's change, for a gate run.
    pub change: Option<ChangeId>,
    /// The commit that the workspace starts from, or the candidate itself.
    pub base: CommitId,
    /// The ref of the coordinator's repository that reaches `base`.
    pub base_ref: String,
    pub title: String,
    /// The text for `context/prompt.md`.
    pub prompt: String,
    /// One text for each earlier attempt, for `context/feedback.md`.
    pub feedback: Vec<String>,
    pub steps: Vec<Command>,
    /// How a gate run is judged: a gate for each step, in the same order; empty for a worker on an item.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// Earlier work that the workspace holds from its start; `base` stays what it is compared with.
    pub resumed: Option<Resumed>,
    /// It is ended when it has neither printed nor computed for so long.
    #[serde(with = "duration_text::optional")]
    pub hung_after: Option<Duration>,
}

impl Assignment {
    pub fn is_gate(&self) -> bool {
        self.role == Role::Gate
    }

    /// The branch that a worker on an item commits to in its workspace.
    pub fn branch(&self) -> String {
        format!("sprint/{}/{}", self.item, self.attempt)
    }
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    pub name: String,
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    pub timed_out: bool,
    pub duration_ms: u64,
}

/// How a worker ended, after its work was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Commits are at `refs/sprint/work/<item>/<attempt>`.
    Committed { head: CommitId },
    /// The gates ran to an end for this commit and tree: a verdict for each, up to the first that did not pass.
    ///
    /// What outposts of before wrote as `passed` judged no report, and is read as no verdict at all.
    #[serde(alias = "passed")]
    Gated {
        commit: CommitId,
        tree: TreeId,
        #[serde(default)]
        verdicts: Vec<GateVerdict>,
    },
    /// It ended by its own fault: a step failed, or it left nothing to take.
    Failed { reason: String },
    /// The outpost could not run it, or lost it; nobody is blamed.
    Lost { reason: String },
    /// It was told to end.
    Stopped { reason: String },
}

/// What an outpost says of one of its workers, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub worker: WorkerId,
    pub item: ItemId,
    pub attempt: Attempt,
    /// 1, 2, 3, … for each worker.
    pub seq: u64,
    #[serde(flatten)]
    pub body: ReportBody,
}

/// The news in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum ReportBody {
    /// The assignment is on the outpost's disk.
    Accepted,
    /// The command runs.
    Started { terminal: Option<Terminal> },
    /// The command ended.
    Exited { exit_code: Option<i32> },
    /// It exited with 0 and left changes uncommitted: it was told so, and runs again.
    SentBack { reason: String },
    /// Its work is saved; nothing of it is left to do on the outpost.
    Finished {
        exit_code: Option<i32>,
        steps: Vec<StepResult>,
        /// What it left uncommitted, at `refs/sprint/wip/<item>/<attempt>`.
        wip: Option<CommitId>,
        log_bytes: u64,
        /// The end of its terminal, for feedback.
        log_tail: String,
        #[serde(flatten)]
        outcome: Outcome,
    },
}
