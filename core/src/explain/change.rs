//! What a change waits for.

use super::item::placement;
use super::{Explanation, Reason};
use crate::change::{Change, ChangeState, in_paths};
use crate::ids::{ChangeId, CommitId};
use crate::merge_queue::Standing;
use crate::repo::UpstreamRewrite;
use crate::schedule::Unplaced;
use crate::trial::{RunState, Trial, TrialState};

/// What is known around a change when it is explained.
#[derive(Debug, Clone, Default)]
pub struct ChangeSurroundings {
    /// How it stands in the queue, while it is there.
    pub standing: Option<Standing>,
    /// The trial that is most likely to land it.
    pub trial: Option<Trial>,
    /// Why the merge queue of its repo is halted.
    pub halted: Option<String>,
    /// The rewrite of the upstream for which it is halted.
    pub rewrite: Option<UpstreamRewrite>,
    /// Why the last pass of its repo's merge queue failed.
    pub trouble: Option<String>,
    /// Why the scheduler cannot place the trial's next gate.
    pub unplaced: Option<Unplaced>,
    /// The branch's tip, when that itself failed twice, and why.
    pub red_tip: Option<(CommitId, String)>,
    /// Why nothing lands, while gates continue.
    pub frozen: Option<String>,
    /// What its item says while the upstream lacks its landing.
    pub not_at_upstream: Option<Reason>,
    /// The change that lands outside the queue, and that others wait for.
    pub direct: Option<ChangeId>,
    /// Why nobody knows now whether it may land.
    pub not_known: Option<String>,
}

/// Explains what `change` waits for.
pub fn explain_change(change: &Change, around: &ChangeSurroundings) -> Explanation {
    let mut explanation = Explanation::default();
    let repo = || change.repo.clone();
    if change.state.is_pending()
        && change.direct.is_none()
        && let Some(why) = &around.halted
    {
        return match &around.rewrite {
            Some(UpstreamRewrite { was, now }) => {
                Reason::UpstreamRewritten { repo: repo(), was: was.clone(), now: now.clone() }.into()
            }
            None => Reason::QueueHalted { repo: repo(), why: why.clone() }.into(),
        };
    }
    if change.state.is_pending()
        && let Some(why) = &around.trouble
    {
        return Reason::QueueFailing { repo: repo(), why: why.clone() }.into();
    }
    let since = change.updated_at;
    match &change.state {
        ChangeState::Queued => explain_queued(change, around, &mut explanation),
        ChangeState::Landing { candidate } => {
            explanation.push_since(Reason::Landing { commit: candidate.commit.clone() }, since);
        }
        ChangeState::Landed { candidate } => {
            explanation.push_since(Reason::Landed { commit: candidate.commit.clone() }, since);
            if let Some(reason) = &around.not_at_upstream {
                explanation.push(reason.clone());
            }
            push_left_out(change, &mut explanation);
        }
        ChangeState::Failed { .. } | ChangeState::Conflicted { .. } => {
            explanation.push_since(Reason::OutOfQueue { change: change.id, why: change.reason() }, since);
        }
    }
    explanation
}

fn push_left_out(change: &Change, explanation: &mut Explanation) {
    if let Some(files) = &change.left_out {
        explanation.push(Reason::LeftOut { change: change.id, files: files.clone() });
    }
}

fn explain_queued(change: &Change, around: &ChangeSurroundings, explanation: &mut Explanation) {
    if let Some(protection) = change.protection.as_ref().filter(|protection| protection.waits()) {
        let reason = Reason::AwaitsApproval { change: change.id, what: protection.in_words() };
        explanation.push_since(reason, change.updated_at);
        return;
    }
    if let Some(direct) = &change.direct {
        let why = direct.reason.clone();
        explanation.push_since(Reason::Direct { skip_gates: direct.skip_gates, why }, change.updated_at);
        if let Some(trial) = &around.trial {
            explain_trial(change, trial, around, explanation);
        }
        return;
    }
    if let Some(why) = &around.not_known {
        explanation.push_since(Reason::NotKnown { why: why.clone() }, change.updated_at);
        return;
    }
    let Some(standing) = &around.standing else {
        explanation.push_since(Reason::NotPlanned, change.updated_at);
        return;
    };
    let position = Reason::Position { position: standing.position, repo: change.repo.clone() };
    explanation.push_since(position, change.updated_at);
    if !standing.waits_for.is_empty() {
        explanation.push(Reason::Overlap { changes: standing.waits_for.clone() });
    }
    match &around.trial {
        Some(trial) => explain_trial(change, trial, around, explanation),
        None => explanation.push(Reason::NoTrial),
    }
    explanation.push(Reason::Chance { chance: standing.chance, prior: standing.prior });
    if let Some(left) = standing.expected {
        explanation.push(Reason::Expected { left });
    }
    if let Some((commit, why)) = &around.red_tip {
        explanation.push(Reason::BranchRed { commit: commit.clone(), why: why.clone() });
    }
    push_left_out(change, explanation);
    if let Some(change) = around.direct {
        explanation.push(Reason::BehindDirect { change });
    }
    if let Some(why) = &around.frozen {
        explanation.push(Reason::QueueFrozen { repo: change.repo.clone(), why: why.clone() });
    }
}

/// How a trial of a change stands.
fn explain_trial(change: &Change, trial: &Trial, around: &ChangeSurroundings, explanation: &mut Explanation) {
    let others = trial.members.iter().map(|member| member.change).filter(|other| *other != change.id);
    let why = match &trial.state {
        TrialState::Gating | TrialState::Passed => String::new(),
        TrialState::Suspect { reason, .. } | TrialState::Failed { reason, .. } | TrialState::Cancelled { reason } => {
            reason.clone()
        }
        TrialState::Unmergeable { paths } => in_paths(paths),
    };
    let state = Reason::Trial {
        trial: trial.id,
        base: trial.candidate.base.clone(),
        with: others.collect(),
        state: trial.state.name(),
        confirming: trial.confirming,
        why,
    };
    explanation.push_since(state, trial.created_at);
    for run in &trial.runs {
        let gate = run.gate.name.clone();
        match &run.state {
            RunState::Running { worker } => explanation.push(Reason::GateRunning { gate, worker: *worker }),
            RunState::Waiting { not_before: Some(until) } => {
                explanation.push(Reason::GatePaused { gate, until: *until });
            }
            RunState::Waiting { not_before: None } => {}
            RunState::Passed | RunState::Failed | RunState::Cancelled => {}
        }
    }
    if let Some(run) = trial.startable().next() {
        explanation.push(Reason::GatesWaiting { trial: trial.id });
        if around.unplaced.is_some() {
            let wanted = run.gate.needs.iter().map(ToString::to_string).collect();
            explanation.push(placement(around.unplaced.as_ref(), wanted, 0));
        }
    }
}
