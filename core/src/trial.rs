//! A trial: the tip of a branch with some changes merged onto it, and the gates that it must pass.

use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::change::{Candidate, Change};
use crate::event::{EventKind, Recorded};
pub use crate::gate_run::{GateRun, RunState, RunStateName};
use crate::gates::GateVerdict;
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, RepoName, TrialId, WorkerId};
use crate::time::Timestamp;

/// The number of times that a gate may time out, or its command may be missing, before the gate has failed: no outpost can run it.
pub const EXCUSES: u32 = 2;

crate::words! {
    /// What a trial is for.
    pub enum Purpose as "purpose of a trial" {
        /// Changes are to land.
        Queue => "queue",
        /// The tip itself is in doubt.
        Tip => "tip",
        /// The upstream was moved outside of the coordinator, and both are to be joined.
        Join => "join",
        /// A change is to land beside the queue.
        Direct => "direct",
        /// A person asked.
        Hand => "hand",
    }
}

crate::words! {
    /// The name of a trial's state, without what the state holds.
    pub enum TrialStateName as "trial state" {
        Gating => "gating",
        Passed => "passed",
        Suspect => "suspect",
        Failed => "failed",
        Unmergeable => "unmergeable",
        Cancelled => "cancelled",
    }
}

/// Where a trial stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TrialState {
    /// Its gates run, or wait for slots.
    Gating,
    Passed,
    /// A gate failed for the first time, which rejects no change.
    Suspect {
        reason: String,
        detail: String,
    },
    /// A gate failed again on the same tree.
    Failed {
        reason: String,
        detail: String,
    },
    /// Its last change does not merge with those before it.
    Unmergeable {
        paths: Vec<String>,
    },
    Cancelled {
        reason: String,
    },
}

impl TrialState {
    pub const fn name(&self) -> TrialStateName {
        match self {
            Self::Gating => TrialStateName::Gating,
            Self::Passed => TrialStateName::Passed,
            Self::Suspect { .. } => TrialStateName::Suspect,
            Self::Failed { .. } => TrialStateName::Failed,
            Self::Unmergeable { .. } => TrialStateName::Unmergeable,
            Self::Cancelled { .. } => TrialStateName::Cancelled,
        }
    }
}

/// A change that a trial holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub change: ChangeId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub head: CommitId,
}

impl From<&Change> for Member {
    fn from(change: &Change) -> Self {
        Self { change: change.id, item: change.item, attempt: change.attempt, head: change.head.clone() }
    }
}

/// The tip of a branch with some changes merged onto it, and how its gates stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub id: TrialId,
    pub repo: RepoName,
    pub purpose: Purpose,
    /// In the order of the queue.
    pub members: Vec<Member>,
    /// What is gated; for one that is unmergeable, its base.
    #[serde(flatten)]
    pub candidate: Candidate,
    pub runs: Vec<GateRun>,
    #[serde(flatten)]
    pub state: TrialState,
    /// A gate failed before, on this tree: the next failure is the last.
    pub confirming: bool,
    /// The earlier trial of the same tree and gates whose result this one has.
    pub same_as: Option<TrialId>,
    /// It cannot matter any more, and is history.
    pub retired: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

crate::noun!(Trial, "trial", "number", "Look at the queue of the repo.");

/// What happens to a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialEvent {
    /// An outpost was found for a gate.
    GateAssigned {
        gate: String,
        worker: WorkerId,
    },
    GatePassed {
        worker: WorkerId,
        verdict: GateVerdict,
    },
    GateFailed {
        worker: WorkerId,
        verdict: GateVerdict,
        detail: String,
    },
    /// It timed out, or its command was not found there; others may do better.
    GateExcused {
        worker: WorkerId,
        outpost: OutpostName,
        verdict: GateVerdict,
        retry_at: Timestamp,
    },
    /// Infrastructure ended the gate, which does not count as a failure.
    GateLost {
        worker: WorkerId,
        reason: String,
        retry_at: Timestamp,
        /// The outpost that could not run it; others are tried first.
        avoid: Option<OutpostName>,
    },
    /// The failed gates run once more on the same tree.
    Confirming,
    Cancelled {
        reason: String,
    },
    /// It cannot matter any more.
    Retired,
}

impl EventKind {
    pub const TRIAL_BEGUN: Self = Self::new("trial_begun");
    pub const TRIAL_GATE_PASSED: Self = Self::new("trial_gate_passed");
    pub const TRIAL_GATE_FAILED: Self = Self::new("trial_gate_failed");
    pub const TRIAL_GATE_EXCUSED: Self = Self::new("trial_gate_excused");
    pub const TRIAL_GATE_LOST: Self = Self::new("trial_gate_lost");
}

impl Recorded for TrialEvent {
    const ENTITY: &'static str = "trial";

    fn name(&self) -> &'static str {
        match self {
            Self::GateAssigned { .. } => "gate_assigned",
            Self::GatePassed { .. } => "gate_passed",
            Self::GateFailed { .. } => "gate_failed",
            Self::GateExcused { .. } => "gate_excused",
            Self::GateLost { .. } => "gate_lost",
            Self::Confirming => "confirming",
            Self::Cancelled { .. } => "cancelled",
            Self::Retired => "retired",
        }
    }
}

/// What must be carried out because a trial took an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialEffect {
    /// A gate waits for a slot: wake the scheduler.
    Schedule,
    /// The queue can go on: wake the merge queue.
    Merge,
    /// A gate is not needed any more.
    StopWorker { worker: WorkerId },
}

impl Trial {
    /// A trial at its beginning; one without gates has passed already.
    pub fn begin(
        id: TrialId,
        repo: RepoName,
        purpose: Purpose,
        members: Vec<Member>,
        candidate: Candidate,
        now: Timestamp,
    ) -> Self {
        let runs: Vec<GateRun> = candidate.all_gates().cloned().map(GateRun::new).collect();
        let state = if runs.is_empty() { TrialState::Passed } else { TrialState::Gating };
        Self {
            id,
            repo,
            purpose,
            members,
            candidate,
            runs,
            state,
            confirming: false,
            same_as: None,
            retired: false,
            created_at: now,
            updated_at: now,
        }
    }

    /// A trial of a tree that went through the same gates before, with what came of that.
    #[must_use]
    pub fn recall(mut self, known: &Self) -> Self {
        self.runs.clone_from(&known.runs);
        self.state = known.state.clone();
        self.confirming = known.confirming;
        self.same_as = Some(known.same_as.unwrap_or(known.id));
        self
    }

    /// A trial whose last change does not merge with those before it.
    #[must_use]
    pub fn unmergeable(mut self, paths: Vec<String>) -> Self {
        self.runs.clear();
        self.state = TrialState::Unmergeable { paths };
        self
    }

    /// Whether its result holds for every trial of the same tree and gates.
    pub const fn is_settled(&self) -> bool {
        match self.state {
            TrialState::Passed | TrialState::Failed { .. } => true,
            TrialState::Gating
            | TrialState::Suspect { .. }
            | TrialState::Unmergeable { .. }
            | TrialState::Cancelled { .. } => false,
        }
    }

    pub fn reason(&self) -> String {
        match &self.state {
            TrialState::Gating | TrialState::Passed => String::new(),
            TrialState::Suspect { reason, .. }
            | TrialState::Failed { reason, .. }
            | TrialState::Cancelled { reason } => reason.clone(),
            TrialState::Unmergeable { paths } => format!("conflicts in {}", paths.join(", ")),
        }
    }

    /// The change that it would land last; the worker of a gate is shown under its item.
    pub fn last(&self) -> Option<&Member> {
        self.members.last()
    }

    pub fn holds(&self, change: ChangeId) -> bool {
        self.members.iter().any(|member| member.change == change)
    }

    /// The gates that could start now: those of the first stage that is not through.
    pub fn startable(&self) -> impl Iterator<Item = &GateRun> {
        let through = |run: &GateRun| matches!(run.state, RunState::Passed);
        let stage = self.runs.iter().filter(|run| !through(run)).map(|run| run.gate.stage).min();
        let gating = matches!(self.state, TrialState::Gating);
        self.runs.iter().filter(move |run| gating && run.is_waiting() && Some(run.gate.stage) == stage)
    }

    pub fn run_of(&self, worker: WorkerId) -> Option<&GateRun> {
        self.runs.iter().find(|run| run.worker() == Some(worker))
    }

    fn run_mut(&mut self, worker: WorkerId) -> Option<&mut GateRun> {
        self.runs.iter_mut().find(|run| run.worker() == Some(worker))
    }

    /// Applies `event` and returns the effects it demands.
    ///
    /// # Errors
    /// [`Refused::Illegal`] when the state does not accept `event`; `self` is unchanged.
    pub fn apply(&mut self, event: TrialEvent, now: Timestamp) -> Result<Vec<TrialEffect>, Refused> {
        let refused = Refused::Illegal { entity: "trial", state: self.state.name().as_str(), event: event.name() };
        let effects = match (&self.state, event) {
            (TrialState::Gating, TrialEvent::GateAssigned { gate, worker }) => {
                let run = self.runs.iter_mut().find(|run| run.gate.name == gate && run.is_waiting());
                run.ok_or(refused)?.state = RunState::Running { worker };
                vec![]
            }
            (TrialState::Gating, TrialEvent::GatePassed { worker, verdict }) => {
                let run = self.run_mut(worker).ok_or(refused)?;
                run.flaky |= run.failures > 0;
                run.state = RunState::Passed;
                run.verdict = Some(verdict);
                self.after_a_pass()
            }
            (TrialState::Gating, TrialEvent::GateFailed { worker, verdict, detail }) => {
                let confirming = self.confirming;
                let run = self.run_mut(worker).ok_or(refused)?;
                run.failures += 1;
                let reason = verdict.reason.clone();
                run.verdict = Some(verdict);
                if !confirming && run.failures <= run.gate.retries {
                    run.state = RunState::Waiting { not_before: None };
                    vec![TrialEffect::Schedule]
                } else {
                    run.state = RunState::Failed;
                    self.fail(reason, detail)
                }
            }
            (TrialState::Gating, TrialEvent::GateExcused { worker, outpost, verdict, retry_at }) => {
                let run = self.run_mut(worker).ok_or(refused)?;
                run.excuses += 1;
                run.avoid.push(outpost);
                let reason = verdict.reason.clone();
                run.verdict = Some(verdict);
                if run.excuses < EXCUSES {
                    run.state = RunState::Waiting { not_before: Some(retry_at) };
                    vec![TrialEffect::Schedule]
                } else {
                    run.failures += 1;
                    run.state = RunState::Failed;
                    // It came out so twice, elsewhere if there is another outpost: nothing is left to confirm.
                    self.confirming = true;
                    self.fail(reason, String::new())
                }
            }
            (TrialState::Gating, TrialEvent::GateLost { worker, reason: _, retry_at, avoid }) => {
                let run = self.run_mut(worker).ok_or(refused)?;
                run.losses += 1;
                run.avoid.extend(avoid.filter(|outpost| !run.avoid.contains(outpost)));
                run.state = RunState::Waiting { not_before: Some(retry_at) };
                vec![TrialEffect::Schedule]
            }
            (TrialState::Suspect { .. }, TrialEvent::Confirming) => {
                for run in &mut self.runs {
                    if !matches!(run.state, RunState::Passed) {
                        run.state = RunState::Waiting { not_before: None };
                        run.excuses = 0;
                    }
                }
                self.confirming = true;
                self.state = TrialState::Gating;
                vec![TrialEffect::Schedule]
            }
            (TrialState::Gating | TrialState::Suspect { .. }, TrialEvent::Cancelled { reason }) => {
                let stops = self.stop_all();
                self.state = TrialState::Cancelled { reason };
                self.retired = true;
                stops
            }
            (
                TrialState::Passed
                | TrialState::Suspect { .. }
                | TrialState::Failed { .. }
                | TrialState::Unmergeable { .. }
                | TrialState::Cancelled { .. },
                TrialEvent::Retired,
            ) => {
                self.retired = true;
                vec![]
            }
            (_, _) => return Err(refused),
        };
        self.updated_at = now;
        Ok(effects)
    }

    fn after_a_pass(&mut self) -> Vec<TrialEffect> {
        if self.runs.iter().all(|run| matches!(run.state, RunState::Passed)) {
            self.state = TrialState::Passed;
            return vec![TrialEffect::Merge];
        }
        // A later stage may begin.
        vec![TrialEffect::Schedule]
    }

    /// A gate has failed for good: the others are not needed.
    fn fail(&mut self, reason: String, detail: String) -> Vec<TrialEffect> {
        self.state = if self.confirming {
            TrialState::Failed { reason, detail }
        } else {
            TrialState::Suspect { reason, detail }
        };
        let mut effects = self.stop_all();
        effects.push(TrialEffect::Merge);
        effects
    }

    fn stop_all(&mut self) -> Vec<TrialEffect> {
        let mut effects = vec![];
        for run in &mut self.runs {
            match run.state {
                RunState::Running { worker } => {
                    run.state = RunState::Cancelled;
                    effects.push(TrialEffect::StopWorker { worker });
                }
                RunState::Waiting { .. } => run.state = RunState::Cancelled,
                RunState::Passed | RunState::Failed | RunState::Cancelled => {}
            }
        }
        effects
    }
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
