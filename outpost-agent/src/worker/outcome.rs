//! How a worker ended, judged from what its commands and its workspace show; no I/O.

use std::time::Duration;

use sprint_core::agent::{AgentFault, AgentSaid, FaultKind};
use sprint_core::assignment::{Assignment, AttemptOutcome, Command, CommandResult, GateRunOutcome, Outcome};
use sprint_core::gates::{GateOutcome, Settled, settle};
use sprint_core::ids::{CommitId, TreeId};
use sprint_core::job::{AttemptJob, Job, Role};

use super::decide::{RoundEnd, Stop, Trouble};
use super::reminder;
use crate::shim::plan::{Cause, Exit};
use crate::workspace::extras::Extras;
use crate::workspace::save::Remains;

const NOTHING_LEFT: &str = "exited with 0 and left nothing: no commit, no change (if there is nothing to do, it must say so: sprintctl item resolve --nothing-to-do WHY)";

/// How often an agent is told what is missing when its turn ends without a result: it can go on with its conversation.
const AGENT_REMINDERS: usize = 3;

/// The exit code of a command that does not exist, as shells have it.
pub(super) const NOT_FOUND: i32 = 127;
/// That of one that cannot be run.
const NOT_RUNNABLE: i32 = 126;

/// The facts when a round has ended.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) assignment: &'a Assignment,
    pub(crate) ended: &'a RoundEnd,
    /// Why it was to end, if it was.
    pub(crate) stop: Option<&'a Stop>,
    pub(crate) left: &'a Remains,
    /// What its repository holds besides.
    pub(crate) extras: &'a Extras,
    /// How often it was sent back already.
    pub(crate) sent_back: usize,
    /// The commits that it had handed over when it was only reminded of something.
    pub(crate) handed_over: Option<&'a CommitId>,
    /// Why there is nothing to do, by its own word.
    pub(crate) nothing_to_do: Option<&'a str>,
    /// The outpost's disk is full now.
    pub(crate) disk_full: bool,
    /// What its agent has said of itself.
    pub(crate) agent: Option<&'a AgentSaid>,
    /// Which command was not found, in words, where its shell has said it.
    pub(crate) missing: Option<&'a str>,
    /// The tree of the start commit, for a gate run.
    pub(crate) tree: Option<&'a TreeId>,
}

/// The judgement of a round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The worker gets the reason, and runs again in the same workspace; with the commits that count if it changes
    /// nothing.
    SendBack {
        reason: String,
        result: Option<CommitId>,
    },
    End(Outcome),
}

/// Judges how a round ended.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Verdict {
    match evidence.stop {
        Some(Stop::Requested(reason)) => {
            return Verdict::End(Outcome::stopped(&evidence.assignment.job, reason.clone()));
        }
        Some(Stop::Hung(reason)) if !is_setting_up(evidence) && !is_complete(evidence) => {
            return reminded(evidence).unwrap_or_else(|| failed(evidence, reason.clone()));
        }
        Some(Stop::Hung(_)) | None => {}
    }
    let exit = match evidence.ended {
        RoundEnd::Exited(exit) => exit,
        RoundEnd::Vanished(reason) | RoundEnd::NotRun(Trouble::Outpost(reason)) => return lost(evidence, reason),
        RoundEnd::NotRun(Trouble::Assignment(reason)) | RoundEnd::Unreadable(reason) => {
            return failed(evidence, reason.clone());
        }
        RoundEnd::NeverStarted => return lost(evidence, "it was not started"),
    };
    if let (Some(Stop::Hung(reason)), false) = (evidence.stop, is_complete(evidence)) {
        return unready(evidence, format!("the setup of its workspace: {reason}"), false);
    }
    match exit.cause {
        Cause::Completed => {}
        Cause::HungUp => return lost(evidence, "its terminal was ended from outside"),
        Cause::Terminated => return lost(evidence, "it was sent SIGTERM from outside, as when the host shuts down"),
        Cause::Broken => {
            return lost(evidence, exit.message.as_deref().unwrap_or("its shim could not go on"));
        }
    }
    let full = evidence.disk_full || exit.disk_full;
    if let Some(setup) = exit.setup.as_ref().filter(|setup| setup.exit_code != Some(0) || setup.timed_out) {
        return not_set_up(evidence, setup, full);
    }
    let Job::Attempt(job) = &evidence.assignment.job else { return gated(evidence, exit, full) };
    if let Some(AgentSaid { runtime, fault: Some(fault), .. }) = evidence.agent {
        return faulty(evidence, runtime, fault);
    }
    let fault = fault(&evidence.assignment.steps, exit);
    let is_first = evidence.sent_back == 0 && !full;
    let is_agent = evidence.agent.is_some();
    let may_remind = evidence.sent_back < if is_agent { AGENT_REMINDERS } else { 1 } && !full;
    match (fault, result(evidence, job)) {
        (None, Some(_)) if !evidence.left.orphans.is_empty() => {
            let reason = reminder::orphans(&evidence.left.orphans);
            if is_first { Verdict::SendBack { reason, result: None } } else { failed(evidence, reason) }
        }
        (None, Some(head)) if is_first && evidence.left.uncommitted_count > 0 => Verdict::SendBack {
            reason: reminder::forgotten(evidence.left, evidence.extras),
            result: Some(head.clone()),
        },
        (None, Some(head)) => committed(head),
        (Some(fault), _) => match reminded(evidence) {
            Some(verdict) => verdict,
            None if full => lost(evidence, &fault.of_worker(evidence.missing)),
            None if fault.is_of_host() => {
                Verdict::End(Outcome::Attempt(AttemptOutcome::Unfit { reason: fault.of_worker(evidence.missing) }))
            }
            None => failed(evidence, fault.of_worker(evidence.missing)),
        },
        (None, None) if full => lost(evidence, "it left no commit"),
        (None, None) => match reminder::without_result(evidence.left, evidence.extras) {
            Some(reason) if may_remind => Verdict::SendBack { reason, result: None },
            Some(_) => failed(evidence, reminder::in_vain(evidence.left, evidence.extras, evidence.sent_back)),
            None => match evidence.nothing_to_do {
                Some(reason) => {
                    Verdict::End(Outcome::Attempt(AttemptOutcome::NothingToDo { reason: reason.to_owned() }))
                }
                None if is_agent && may_remind => {
                    Verdict::SendBack { reason: reminder::NOTHING.to_owned(), result: None }
                }
                None => failed(evidence, NOTHING_LEFT.to_owned()),
            },
        },
    }
}

/// Its agent says that it could not go on. What it has done so far is saved all the same.
fn faulty(evidence: &Evidence<'_>, runtime: &str, AgentFault { kind, why, until: _ }: &AgentFault) -> Verdict {
    // What it was done with before counts.
    if let Some(verdict) = reminded(evidence) {
        return verdict;
    }
    let reason = format!("{runtime}: {why}");
    match kind {
        FaultKind::NotLoggedIn => {
            let reason = format!("{reason}; log in to {runtime} on the outpost, as the user that runs it");
            Verdict::End(Outcome::Attempt(AttemptOutcome::Unfit { reason }))
        }
        FaultKind::Limited | FaultKind::Unavailable => lost(evidence, &reason),
        FaultKind::Other => failed(evidence, reason),
    }
}

/// Whether its command came to its own end: only a teardown may have been ended.
fn is_complete(evidence: &Evidence<'_>) -> bool {
    matches!(evidence.ended, RoundEnd::Exited(exit) if exit.cause == Cause::Completed)
}

/// Whether it was ended before its own command began.
fn is_setting_up(evidence: &Evidence<'_>) -> bool {
    match evidence.ended {
        RoundEnd::Exited(exit) => exit.setup.as_ref().is_some_and(|setup| setup.exit_code != Some(0)),
        RoundEnd::Vanished(_) | RoundEnd::Unreadable(_) | RoundEnd::NotRun(_) | RoundEnd::NeverStarted => false,
    }
}

fn not_set_up(evidence: &Evidence<'_>, setup: &CommandResult, full: bool) -> Verdict {
    let fault = Fault::RoundEnd { result: setup, timeout: evidence.assignment.recipe.timeout };
    unready(evidence, format!("the setup of its workspace {}", fault.of_worker(evidence.missing)), full)
}

/// Its workspace is not as the recipe wants it. Until a worker has changed it, that is not the item's doing.
fn unready(evidence: &Evidence<'_>, reason: String, full: bool) -> Verdict {
    let Assignment { job, resumed, .. } = evidence.assignment;
    let is_untouched = evidence.sent_back == 0 && resumed.is_none();
    match job {
        Job::Attempt(_) | Job::Gate(_) if full => lost(evidence, &reason),
        Job::Attempt(_) if is_untouched => Verdict::End(Outcome::Attempt(AttemptOutcome::NotSetUp { reason })),
        Job::Attempt(_) | Job::Gate(_) => reminded(evidence).unwrap_or_else(|| failed(evidence, reason)),
    }
}

/// It was only reminded of something, has ended badly, and its commits are those that it was done with before.
fn reminded(evidence: &Evidence<'_>) -> Option<Verdict> {
    let head = evidence.left.head.as_ref().filter(|head| evidence.handed_over == Some(*head));
    head.map(committed)
}

fn committed(head: &CommitId) -> Verdict {
    Verdict::End(Outcome::Attempt(AttemptOutcome::Committed { head: head.clone() }))
}

/// The newest commit, if it is a result. A resolver begins with one that is known to conflict.
fn result<'a>(evidence: &Evidence<'a>, job: &AttemptJob) -> Option<&'a CommitId> {
    let resumed = &evidence.assignment.resumed;
    let begun = resumed.as_ref().filter(|_| job.role == Role::Resolver).map(|resumed| &resumed.commit);
    evidence.left.head.as_ref().filter(|head| Some(*head) != begun)
}

/// The end of a gate run: the shim has judged each gate as it ended; here it is seen that nothing is missing.
fn gated(evidence: &Evidence<'_>, exit: &Exit, full: bool) -> Verdict {
    let Assignment { gates, steps, base, .. } = evidence.assignment;
    let matching = gates.len() == steps.len() && gates.iter().zip(steps).all(|(gate, step)| gate.name == step.name);
    if !matching {
        return lost(
            evidence,
            "the assignment does not match its gates; check that agent and coordinator have the same version",
        );
    }
    let until = match settle(gates, &exit.verdicts) {
        Settled::Passed => gates.len(),
        Settled::NotPassed(verdict) if full => return lost(evidence, &verdict.reason),
        Settled::NotPassed(_) => {
            let passed = exit.verdicts.iter().take_while(|verdict| verdict.outcome == GateOutcome::Passed);
            passed.count() + 1
        }
        Settled::Unjudged(gate) => return lost(evidence, &format!("there is no verdict on gate {gate:?}")),
    };
    let Some(tree) = evidence.tree else { return lost(evidence, "the tree of the candidate cannot be read") };
    // Both are of the shim; a pass that its own record of the command denies is none.
    let contradicted = exit.verdicts.iter().take(until).enumerate().find(|(number, verdict)| {
        let result = exit.steps.get(*number).filter(|result| result.name == verdict.gate);
        let well =
            result.is_some_and(|result| result.exit_code == Some(0) && result.signal.is_none() && !result.timed_out);
        verdict.outcome == GateOutcome::Passed && !well
    });
    if let Some((_, verdict)) = contradicted {
        return lost(evidence, &format!("the record of gate {:?} contradicts itself", verdict.gate));
    }
    let mut verdicts: Vec<_> = exit.verdicts.iter().take(until).cloned().collect();
    if let (Some(missing), Some(last)) = (evidence.missing, verdicts.last_mut())
        && last.outcome == GateOutcome::NotFound
    {
        last.reason = format!("gate {:?}: {missing}", last.gate);
    }
    Verdict::End(Outcome::Gate(GateRunOutcome::Judged { commit: base.clone(), tree: tree.clone(), verdicts }))
}

fn failed(evidence: &Evidence<'_>, reason: String) -> Verdict {
    Verdict::End(Outcome::failed(&evidence.assignment.job, reason))
}

fn lost(evidence: &Evidence<'_>, reason: &str) -> Verdict {
    let exit_full = matches!(evidence.ended, RoundEnd::Exited(exit) if exit.disk_full);
    let reason = if (evidence.disk_full || exit_full) && !reason.starts_with(DISK_FULL) {
        format!("{DISK_FULL}: {reason}")
    } else {
        reason.to_owned()
    };
    Verdict::End(Outcome::lost(&evidence.assignment.job, reason))
}

/// How every reason begins that comes from a full disk.
pub(crate) const DISK_FULL: &str = "the outpost's disk is full";

/// The first problem of the steps.
#[derive(Debug)]
enum Fault<'a> {
    RoundEnd {
        result: &'a CommandResult,
        timeout: Duration,
    },
    /// There is no result of a step that should have one: not a pass.
    Missing(&'a str),
}

fn fault<'a>(steps: &'a [Command], exit: &'a Exit) -> Option<Fault<'a>> {
    for (number, step) in steps.iter().enumerate() {
        let Some(result) = exit.steps.get(number).filter(|result| result.name == step.name) else {
            return Some(Fault::Missing(&step.name));
        };
        let success = result.exit_code.is_some_and(|code| step.runtime.success_codes.contains(&code));
        if !success || result.timed_out || result.signal.is_some() {
            return Some(Fault::RoundEnd { result, timeout: step.timeout });
        }
    }
    if steps.is_empty() { Some(Fault::Missing("it")) } else { None }
}

impl Fault<'_> {
    /// Whether the command did not even begin.
    fn is_of_host(&self) -> bool {
        let code = match self {
            Self::RoundEnd { result, timeout: _ } => result.exit_code.filter(|_| !result.timed_out),
            Self::Missing(_) => None,
        };
        matches!(code, Some(NOT_FOUND | NOT_RUNNABLE))
    }

    fn of_worker(&self, missing: Option<&str>) -> String {
        match self {
            Self::Missing(name) => format!("{name} did not run"),
            Self::RoundEnd { result, timeout } if result.timed_out => {
                format!("timed out after {}", humantime::format_duration(*timeout))
            }
            Self::RoundEnd { result, .. } => match (result.exit_code, result.signal) {
                (Some(NOT_FOUND), _) => format!("exited with code 127: {}", missing.unwrap_or("command not found")),
                (Some(NOT_RUNNABLE), _) => "exited with code 126: command cannot be run".to_owned(),
                (Some(code), _) => format!("exited with code {code}"),
                (None, Some(signal)) => format!("ended by signal {signal}"),
                (None, None) => "ended in an unknown way".to_owned(),
            },
        }
    }
}

/// The commit that a snapshot of uncommitted work stands on.
pub(crate) fn snapshot_parent(left: &Remains, assignment: &Assignment) -> CommitId {
    left.head.clone().unwrap_or_else(|| assignment.base.clone())
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
