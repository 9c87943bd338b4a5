//! The JSON that scripts rely on: flat, stable, `snake_case`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::agent::AgentSaid;
use crate::change::{ChangeStateName, Direct};
use crate::conflict::Conflict;
use crate::gates::duration_text;
use crate::hand_off::{HandOff, HandOffText};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, RepoName, TreeId, TrialId, WorkerId};
use crate::item::{Feedback, Item, ItemKind, Priority, Stage, StageName};
use crate::job::Role;
use crate::merge_queue::{ChangeSeen, Standing};
use crate::note::ProgressSaid;
use crate::outpost::{Load, Outpost, OutpostState, Suspicion};
use crate::protection::Protection;
use crate::secret::{Scope, SecretForm, SecretName};
use crate::time::Timestamp;
use crate::token::{TokenId, TokenKind};
use crate::trial::{GateRun, Purpose, RunState, RunStateName, Trial, TrialStateName};
use crate::worker::{Worker, WorkerStateName};

/// An item as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct ItemView {
    pub id: ItemId,
    pub repo: RepoName,
    pub kind: ItemKind,
    pub title: String,
    pub stage: StageName,
    pub priority: Priority,
    pub parent: Option<ItemId>,
    /// The item on which a worker found and filed it.
    pub discovered_from: Option<ItemId>,
    pub needs: BTreeSet<ItemId>,
    pub attempt: Attempt,
    pub worker: Option<WorkerId>,
    pub reason: String,
    pub change: Option<ChangeId>,
    pub commit: Option<CommitId>,
    pub failures: u32,
    /// What has to be resolved before its work can land.
    pub conflict: Option<Conflict>,
    pub description: String,
    pub acceptance: Vec<String>,
    pub labels: BTreeSet<String>,
    pub requires: BTreeMap<String, String>,
    pub run: Option<String>,
    pub feedback: Vec<Feedback>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        let (change, commit) = match &item.stage {
            Stage::Merging { change, landed } => (Some(*change), landed.clone()),
            Stage::Done { commit } => (None, commit.clone()),
            Stage::Inbox
            | Stage::Planning
            | Stage::Ready
            | Stage::InProgress { .. }
            | Stage::InReview
            | Stage::InTests
            | Stage::InDocs
            | Stage::Blocked { .. }
            | Stage::Cancelled { .. } => (None, None),
        };
        let (worker, reason, stage) = (item.worker(), item.reason().to_owned(), item.stage.name());
        Self {
            id: item.id,
            repo: item.repo,
            kind: item.kind,
            title: item.title,
            stage,
            priority: item.priority,
            parent: item.parent,
            discovered_from: item.discovered_from,
            needs: item.needs,
            attempt: item.attempt,
            worker,
            reason,
            change,
            commit,
            failures: item.failures,
            conflict: item.conflict,
            description: item.description,
            acceptance: item.acceptance,
            labels: item.labels,
            requires: item.requires,
            run: item.run,
            feedback: item.feedback,
            created_at: item.created_at,
            updated_at: item.updated_at,
        }
    }
}

/// What an attempt has handed over, as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct HandOffView {
    pub attempt: Attempt,
    pub worker: WorkerId,
    pub written_at: Timestamp,
    #[serde(flatten)]
    pub text: HandOffText,
}

impl From<HandOff> for HandOffView {
    fn from(hand_off: HandOff) -> Self {
        let HandOff { id: _, item: _, attempt, worker, written_at, text } = hand_off;
        Self { attempt, worker, written_at, text }
    }
}

/// The gate that a worker runs, as scripts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerGate {
    pub trial: TrialId,
    pub name: String,
}

/// A worker as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerView {
    pub id: WorkerId,
    /// The item that it is an attempt at; none for a gate.
    pub item: Option<ItemId>,
    pub attempt: Option<Attempt>,
    pub role: Role,
    pub outpost: OutpostName,
    pub state: WorkerStateName,
    pub exit_code: Option<i32>,
    pub reason: String,
    pub repo: RepoName,
    pub gate: Option<WorkerGate>,
    pub base: CommitId,
    pub assigned_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// What its agent has said of itself, once it has ended.
    pub agent: Option<Box<AgentSaid>>,
    /// How far it is, by its own word.
    pub progress: Option<ProgressSaid>,
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        let (state, exit_code, reason) = (worker.state.name(), worker.exit_code(), worker.reason().to_owned());
        Self {
            id: worker.id,
            item: worker.job.item(),
            attempt: worker.job.attempt().map(|job| job.attempt),
            role: worker.job.role(),
            outpost: worker.outpost,
            state,
            exit_code,
            reason,
            repo: worker.repo,
            gate: worker.job.gate().map(|job| WorkerGate { trial: job.trial, name: job.gate.clone() }),
            base: worker.base,
            assigned_at: worker.assigned_at,
            started_at: worker.started_at,
            ended_at: worker.ended_at,
            agent: worker.agent,
            progress: worker.progress,
        }
    }
}

/// A change as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeView {
    pub id: ChangeId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub state: ChangeStateName,
    /// How it stands in the queue, while it is there.
    pub standing: Option<Standing>,
    /// The commit that is landing, or has landed.
    pub candidate: Option<CommitId>,
    pub reason: String,
    pub repo: RepoName,
    pub head: CommitId,
    /// The ref or item that a person named when they brought it.
    pub source: Option<String>,
    /// It lands beside the queue.
    pub direct: Option<Direct>,
    /// The files that its worker had changed and not committed, in one phrase.
    pub left_out: Option<String>,
    /// What it has to do with protected paths; none when nothing, or not looked at yet.
    pub protection: Option<Protection>,
    pub base: Option<CommitId>,
    pub gates: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<ChangeSeen> for ChangeView {
    fn from(ChangeSeen { change, standing }: ChangeSeen) -> Self {
        let candidate = change.candidate();
        Self {
            standing,
            candidate: candidate.map(|candidate| candidate.commit.clone()),
            base: candidate.map(|candidate| candidate.base.clone()),
            gates: candidate
                .map(|candidate| candidate.all_gates().map(|gate| gate.name.clone()).collect())
                .unwrap_or_default(),
            state: change.state.name(),
            reason: change.reason(),
            id: change.id,
            item: change.item,
            attempt: change.attempt,
            repo: change.repo,
            head: change.head,
            source: change.source,
            direct: change.direct,
            left_out: change.left_out,
            protection: change.protection,
            created_at: change.created_at,
            updated_at: change.updated_at,
        }
    }
}

/// A trial as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialView {
    pub id: TrialId,
    pub state: TrialStateName,
    pub repo: RepoName,
    pub purpose: Purpose,
    /// In the order of the queue.
    pub changes: Vec<ChangeId>,
    pub commit: CommitId,
    pub tree: TreeId,
    pub base: CommitId,
    pub reason: String,
    /// It failed once; its failed gates run again.
    pub confirming: bool,
    pub same_as: Option<TrialId>,
    pub runs: Vec<GateRunView>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One gate of a trial as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateRunView {
    pub gate: String,
    pub state: RunStateName,
    pub worker: Option<WorkerId>,
    pub reason: String,
    pub flaky: bool,
    pub failures: u32,
    pub findings: Vec<String>,
    pub duration_ms: u64,
}

impl From<Trial> for TrialView {
    fn from(trial: Trial) -> Self {
        let reason = trial.reason();
        let Trial {
            id,
            repo,
            purpose,
            members,
            candidate,
            runs,
            state,
            confirming,
            same_as,
            retired: _,
            created_at,
            updated_at,
        } = trial;
        Self {
            id,
            state: state.name(),
            repo,
            purpose,
            changes: members.into_iter().map(|member| member.change).collect(),
            commit: candidate.commit,
            tree: candidate.tree,
            base: candidate.base,
            reason,
            confirming,
            same_as,
            runs: runs.into_iter().map(Into::into).collect(),
            created_at,
            updated_at,
        }
    }
}

impl From<GateRun> for GateRunView {
    fn from(run: GateRun) -> Self {
        let worker = run.worker();
        let GateRun { gate, state, failures, losses: _, excuses: _, avoid: _, flaky, verdict } = run;
        let (reason, findings, duration_ms) = match verdict {
            Some(verdict) => {
                let findings = verdict.findings.iter().map(ToString::to_string).collect();
                (verdict.reason, findings, verdict.duration_ms)
            }
            None => (String::new(), vec![], 0),
        };
        Self { gate: gate.name, state: state.name(), worker, reason, flaky, failures, findings, duration_ms }
    }
}

/// The recent results of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateRecord {
    pub name: String,
    pub runs: u32,
    pub passed: u32,
    pub failed: u32,
    /// Runs that failed and then passed on the same tree.
    pub flaky: u32,
    #[serde(with = "duration_text::optional")]
    pub median: Option<Duration>,
}

impl GateRecord {
    /// The number of recent trials of a repo that are counted.
    pub const TRIALS: u32 = 500;

    /// How the gates of these trials did, by name.
    pub fn of(trials: &[Trial]) -> Vec<Self> {
        let mut records = BTreeMap::<&str, (Self, Vec<u64>)>::new();
        // One that has another's result ran nothing.
        for run in trials.iter().filter(|trial| trial.same_as.is_none()).flat_map(|trial| &trial.runs) {
            let Some(verdict) = &run.verdict else { continue };
            let empty = || {
                (Self { name: run.gate.name.clone(), runs: 0, passed: 0, failed: 0, flaky: 0, median: None }, vec![])
            };
            let (record, durations) = records.entry(&run.gate.name).or_insert_with(empty);
            record.runs += 1;
            record.flaky += u32::from(run.flaky);
            match run.state {
                RunState::Passed => {
                    record.passed += 1;
                    durations.push(verdict.duration_ms);
                }
                RunState::Failed => record.failed += 1,
                RunState::Waiting { .. } | RunState::Running { .. } | RunState::Cancelled => {}
            }
        }
        let finish = |(mut record, mut durations): (Self, Vec<u64>)| {
            durations.sort_unstable();
            record.median = durations.get(durations.len() / 2).copied().map(Duration::from_millis);
            record
        };
        records.into_values().map(finish).collect()
    }
}

/// An outpost with what runs on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutpostView {
    pub name: OutpostName,
    pub state: OutpostState,
    pub max_workers: u32,
    pub active_workers: u32,
    pub labels: BTreeMap<String, String>,
    pub last_seen: Timestamp,
    pub version: String,
    pub load: Option<Load>,
    /// Why it takes nothing new for the time being.
    pub paused: Option<String>,
    /// It gets one try at a time while this is there.
    pub suspicion: Option<Suspicion>,
    #[serde(with = "duration_text::optional")]
    pub disconnect_grace: Option<Duration>,
    /// While it is cut off and holds leases: how long it still keeps them.
    #[serde(with = "duration_text::optional")]
    pub lapses_in: Option<Duration>,
}

impl OutpostView {
    pub fn new(outpost: Outpost, active_workers: u32, load: Option<Load>, lapses_in: Option<Duration>) -> Self {
        Self {
            name: outpost.name,
            state: outpost.state,
            max_workers: outpost.max_workers,
            active_workers,
            labels: outpost.labels,
            last_seen: outpost.last_seen,
            version: outpost.version,
            load,
            paused: outpost.paused,
            suspicion: outpost.suspicion,
            disconnect_grace: outpost.disconnect_grace,
            lapses_in,
        }
    }
}

/// A secret as people see it: without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretView {
    pub name: SecretName,
    #[serde(flatten)]
    pub scope: Scope,
    pub form: SecretForm,
    pub set_at: Timestamp,
    pub set_by: String,
    pub used_at: Option<Timestamp>,
    /// It cannot be opened any more, and has to be set again.
    pub is_lost: bool,
}

/// A token as people see it: without anything that its holder must keep secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    pub id: TokenId,
    pub kind: TokenKind,
    /// The person; empty for outposts.
    pub name: String,
    pub uses: u32,
    pub used: u32,
    pub name_prefix: String,
    pub created_at: Timestamp,
    pub created_by: String,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// `secret` or `certificate`.
    pub proof: String,
}

impl TokenView {
    /// One word for where it stands.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.revoked_at.is_some() {
            "revoked"
        } else if self.expires_at <= now {
            "expired"
        } else if self.kind == TokenKind::Outpost && self.used >= self.uses {
            "used up"
        } else {
            "valid"
        }
    }
}
