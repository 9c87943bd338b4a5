//! Assignments to an outpost, and its reports: the contract between the two sides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gates::{Gate, GateVerdict, duration_text};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use crate::job::{EarlierWork, Job};
use crate::recipe::Recipe;
use crate::worker::Terminal;

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

/// The branch that work is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetBranch {
    pub name: String,
    /// Where it was when the work began; for a gate, what the changes were merged onto.
    pub tip: CommitId,
    /// The upstream's address, without credentials.
    pub origin: Option<String>,
}

/// A change that a gate judges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatedChange {
    pub change: ChangeId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub head: CommitId,
    /// The item's.
    pub title: String,
}

/// Everything an outpost needs to run a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub worker: WorkerId,
    pub repo: RepoName,
    pub job: Job,
    /// The last change of the trial, for a gate of one.
    pub change: Option<ChangeId>,
    /// The commit that the workspace starts from, or the candidate itself.
    pub base: CommitId,
    /// The ref of the coordinator's repository that reaches `base`.
    pub base_ref: String,
    /// The branch that the work is for; a coordinator of an earlier release does not say.
    #[serde(default)]
    pub target: Option<TargetBranch>,
    /// What a gate judges, in the order of the queue.
    #[serde(default)]
    pub changes: Vec<GatedChange>,
    /// How the workspace is made ready; empty: it is what git checks out.
    #[serde(default)]
    pub recipe: Recipe,
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
    pub resumed: Option<EarlierWork>,
    /// It is ended when it has neither printed nor computed for so long.
    #[serde(with = "duration_text::optional")]
    pub hung_after: Option<Duration>,
}

/// How the reason begins for which an outpost could not give a worker its workspace: another may.
pub const NO_WORKSPACE: &str = "the workspace could not be made";

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    pub name: String,
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    pub timed_out: bool,
    pub duration_ms: u64,
}

/// How a worker ended, after its work was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Attempt(AttemptOutcome),
    Gate(GateRunOutcome),
}

/// How an attempt at an item ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Commits are at `refs/sprint/work/<item>/<attempt>`.
    Committed { head: CommitId },
    /// It ended by its own fault: a command failed, or it left nothing to take.
    Failed { reason: String },
    /// Its command was not found, or could not be run: the host is to blame until another shows the same.
    Unfit { reason: String },
    /// Its workspace could not be set up: the host is to blame, then the repo, and never the item.
    NotSetUp { reason: String },
    /// It left nothing, and said why that is right.
    NothingToDo { reason: String },
    /// The outpost could not run it, or lost it; the item is not blamed.
    Lost { reason: String },
    /// It was told to end.
    Stopped { reason: String },
}

/// How a gate run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateRunOutcome {
    /// It ran to an end for this commit and tree: a verdict for each gate, up to the first that did not pass.
    Judged { commit: CommitId, tree: TreeId, verdicts: Vec<GateVerdict> },
    /// It could not be started as assigned.
    Failed { reason: String },
    /// The outpost could not run it, or lost it; the changes are not blamed.
    Lost { reason: String },
    /// It was told to end.
    Stopped { reason: String },
}

impl Outcome {
    /// Whether it is how such a job ends.
    pub const fn is_of(&self, job: &Job) -> bool {
        match (self, job) {
            (Self::Attempt(_), Job::Attempt(_)) | (Self::Gate(_), Job::Gate(_)) => true,
            (Self::Attempt(_), Job::Gate(_)) | (Self::Gate(_), Job::Attempt(_)) => false,
        }
    }

    /// A worker of this job that ended by its own fault.
    pub const fn failed(job: &Job, reason: String) -> Self {
        match job {
            Job::Attempt(_) => Self::Attempt(AttemptOutcome::Failed { reason }),
            Job::Gate(_) => Self::Gate(GateRunOutcome::Failed { reason }),
        }
    }

    /// A worker of this job that was told to end.
    pub const fn stopped(job: &Job, reason: String) -> Self {
        match job {
            Job::Attempt(_) => Self::Attempt(AttemptOutcome::Stopped { reason }),
            Job::Gate(_) => Self::Gate(GateRunOutcome::Stopped { reason }),
        }
    }

    /// A worker of this job that its outpost could not run, or lost.
    pub const fn lost(job: &Job, reason: String) -> Self {
        match job {
            Job::Attempt(_) => Self::Attempt(AttemptOutcome::Lost { reason }),
            Job::Gate(_) => Self::Gate(GateRunOutcome::Lost { reason }),
        }
    }
}

/// What a worker left besides the commits that it hands over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// Files with changes that it did not commit: the first of them.
    pub files: Vec<String>,
    /// How many files there are in all.
    pub file_count: u64,
    /// What is saved below `refs/sprint/left/<item>/<attempt>/`, by its label.
    pub saved: Vec<String>,
    /// What could not be saved, why, and where it is kept.
    pub unsaved: Option<String>,
}

impl Leftovers {
    pub const fn is_empty(&self) -> bool {
        self.file_count == 0 && self.saved.is_empty() && self.unsaved.is_none()
    }

    /// The files in one phrase; none when there are none.
    pub fn files_in_words(&self) -> Option<String> {
        let more = self.file_count.saturating_sub(self.files.len() as u64);
        match (self.file_count, more) {
            (0, _) => None,
            (_, 0) => Some(self.files.join(", ")),
            _ => Some(format!("{} and {more} more", self.files.join(", "))),
        }
    }
}

/// An outpost's report on one of its workers, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub worker: WorkerId,
    /// The job that it is about: a report about another job than the worker's is refused.
    pub job: Job,
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
    /// It exited with 0 and left something that would not land: it got a message about it, and runs again.
    SentBack {
        reason: String,
        /// The commits that it had handed over, if it has only forgotten something.
        #[serde(default)]
        result: Option<CommitId>,
    },
    /// Its work is saved; nothing of it is left to do on the outpost.
    Finished {
        exit_code: Option<i32>,
        steps: Vec<CommandResult>,
        /// What it left uncommitted, at `refs/sprint/wip/<item>/<attempt>`.
        wip: Option<CommitId>,
        log_bytes: u64,
        /// The end of its terminal, for feedback.
        log_tail: String,
        outcome: Outcome,
        #[serde(default)]
        left: Box<Leftovers>,
    },
}
