//! Assignments to an outpost, and its reports: the contract between the two sides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::AgentSaid;
use crate::bounds::{DETAIL, NAMED_PATH, NAMED_PATHS, REASON, SAVED, STEPS, cut};
use crate::gates::{Gate, GateVerdict, duration_text};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName, TreeId, WorkerId};
use crate::job::{EarlierWork, Job};
use crate::note::Note;
use crate::recipe::Recipe;
use crate::runtime::{Catalog, HostLogin, Runtime};
use crate::secret::SecretText;
use crate::worker::Terminal;

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
    /// What it may have and nobody else is to see: never written down with the rest.
    #[serde(skip)]
    pub secrets: Vec<SecretText>,
}

impl Assignment {
    /// Puts the runtimes of an outpost in the place of their names. What it does not have stays a name. Logins of the host
    /// are named by nobody but the host: those of any other runtime are left out.
    pub fn resolve(&mut self, catalog: &Catalog) {
        for step in &mut self.steps {
            match catalog.get(&step.runtime.name).filter(|_| step.runtime.is_reference()) {
                Some(named) => step.runtime = step.runtime.clone().resolved(named.clone()),
                None => step.runtime.host = HostLogin::default(),
            }
        }
    }
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
    /// Why it ended so, where it has a reason of its own.
    fn reason_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Attempt(AttemptOutcome::Committed { head: _ }) | Self::Gate(GateRunOutcome::Judged { .. }) => None,
            Self::Attempt(
                AttemptOutcome::Failed { reason }
                | AttemptOutcome::Unfit { reason }
                | AttemptOutcome::NotSetUp { reason }
                | AttemptOutcome::NothingToDo { reason }
                | AttemptOutcome::Lost { reason }
                | AttemptOutcome::Stopped { reason },
            )
            | Self::Gate(
                GateRunOutcome::Failed { reason }
                | GateRunOutcome::Lost { reason }
                | GateRunOutcome::Stopped { reason },
            ) => Some(reason),
        }
    }

    fn shorten(&mut self) {
        if let Some(reason) = self.reason_mut() {
            shorten(reason, REASON);
        }
        if let Self::Gate(GateRunOutcome::Judged { verdicts, .. }) = self {
            verdicts.truncate(STEPS);
            verdicts.iter_mut().for_each(GateVerdict::shorten);
        }
    }

    /// Hands out every text in it that a worker could have made.
    pub fn each_text(&mut self, hear: &mut impl FnMut(&mut String)) {
        if let Some(reason) = self.reason_mut() {
            hear(reason);
        }
        if let Self::Gate(GateRunOutcome::Judged { verdicts, .. }) = self {
            for verdict in verdicts {
                hear(&mut verdict.reason);
                for finding in &mut verdict.findings {
                    hear(&mut finding.file);
                    hear(&mut finding.message);
                }
            }
        }
    }

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

impl ReportBody {
    /// Hands out every text in it that a worker could have made.
    pub fn each_text(&mut self, hear: &mut impl FnMut(&mut String)) {
        match self {
            Self::Accepted | Self::Started { .. } | Self::Exited { .. } => {}
            Self::Noted { note } => note.each_text(hear),
            Self::SentBack { reason, result: _ } => hear(reason),
            Self::Finished { log_tail, outcome, left, agent, exit_code: _, steps: _, wip: _, log_bytes: _ } => {
                hear(log_tail);
                outcome.each_text(hear);
                let Leftovers { files, file_count: _, saved, unsaved } = &mut **left;
                files.iter_mut().chain(saved).chain(unsaved).for_each(&mut *hear);
                if let Some(agent) = agent {
                    agent.each_text(hear);
                }
            }
        }
    }
}

impl Leftovers {
    fn shorten(&mut self) {
        let Self { files, file_count: _, saved, unsaved } = self;
        files.truncate(NAMED_PATHS);
        saved.truncate(SAVED);
        for name in files.iter_mut().chain(saved) {
            shorten(name, NAMED_PATH);
        }
        if let Some(why) = unsaved {
            shorten(why, REASON);
        }
    }

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

impl Report {
    /// The report with everything that a worker could make long cut to its bound: whatever it says, the report is taken.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        match &mut self.body {
            ReportBody::Accepted | ReportBody::Started { .. } | ReportBody::Exited { .. } => {}
            ReportBody::Noted { note } => note.shorten(),
            ReportBody::SentBack { reason, result: _ } => shorten(reason, REASON),
            ReportBody::Finished { log_tail, outcome, left, agent, exit_code: _, steps, wip: _, log_bytes: _ } => {
                steps.truncate(STEPS);
                shorten(log_tail, DETAIL);
                outcome.shorten();
                left.shorten();
                if let Some(agent) = agent {
                    agent.shorten();
                }
            }
        }
        self
    }
}

fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        *text = cut(text, most);
    }
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
    /// It said something of its own accord.
    Noted { note: Note },
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
        /// What its agent has said of itself.
        #[serde(default)]
        agent: Option<Box<AgentSaid>>,
    },
}
