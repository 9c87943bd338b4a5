//! One plain sentence for each reason: subject, verb, object, unit.

use std::fmt;
use std::time::Duration;

use super::Reason;
use crate::ids::{ChangeId, OutpostName};
use crate::job::Role;
use crate::merge_queue::prior::Prior;
use crate::trial::TrialStateName;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady { stage, .. } => write!(f, "the item is in stage {stage} and not ready for work"),
            Self::InProgress { worker, attempt, outpost } => {
                write!(f, "worker {worker} works on attempt {attempt} on outpost {outpost}")
            }
            Self::InStage { stage } => write!(f, "the item is in stage {stage}"),
            Self::Merging { change } => write!(f, "change {change} of the item is in the merge queue"),
            Self::NotAtUpstream { change, commit, why: None, .. } => {
                write!(f, "change {change} landed here as {}; it is being pushed to the upstream", commit.short())
            }
            Self::NotAtUpstream { change, commit, why: Some(why), .. } => {
                write!(f, "change {change} landed here as {}, and is not at the upstream yet: {why}", commit.short())
            }
            Self::Done { commit: Some(commit) } => write!(f, "the item is done: it landed as {}", commit.short()),
            Self::Done { commit: None } => f.write_str("the item is done"),
            Self::NothingToDo { why, .. } => write!(f, "the item waits for a person: {why}"),
            Self::MayBeRetried { .. } => f.write_str("another attempt may look again"),
            Self::ItemBlocked { why, .. } => write!(f, "the item is blocked: {why}"),
            Self::ItemCancelled { why, .. } => write!(f, "the item was cancelled: {why}"),
            Self::Conflicted { conflict, role: Role::Resolver } => write!(f, "{conflict}; a resolver is to merge it"),
            Self::Conflicted { conflict, role } => write!(f, "{conflict}; a {role} is to bring it again"),
            Self::NoChildren { .. } => f.write_str("the item is a container without children"),
            Self::Child { item, stage } => write!(f, "its child, item {item}, is in stage {stage}"),
            Self::InConvoy { convoy } => write!(f, "one worker does the item together with its convoy, item {convoy}"),
            Self::Need { item, title, stage, stuck } => {
                write!(f, "the item needs item {item} ({title}), which is in stage {stage}")?;
                if *stuck { f.write_str(" and cannot continue by itself") } else { Ok(()) }
            }
            Self::Paused { until, why, .. } => {
                write!(f, "the item pauses until {until} after an infrastructure failure: {why}")
            }
            Self::NoCommand { item, repo } => write!(f, "neither item {item} nor repo \"{repo}\" has a command to run"),
            Self::SchedulerPending => f.write_str("the scheduler assigns it in its next pass"),
            Self::RoleLimit { max } => {
                write!(f, "the repo already runs {max} workers of this role, which is its limit")
            }
            Self::OutpostCutOff { outpost, worker, attempt, left } => write!(
                f,
                "outpost {outpost}, where worker {worker} has attempt {attempt}, is disconnected; unless it reconnects within {}, another attempt starts elsewhere",
                whole_seconds(*left)
            ),
            Self::NoOutpost => f.write_str("no outpost is online"),
            Self::NoMatchingLabels { wanted } if wanted.is_empty() => {
                f.write_str("no online outpost has the labels it requires")
            }
            Self::NoMatchingLabels { wanted } => {
                write!(f, "no online outpost has the labels it requires: {}", wanted.join(", "))
            }
            Self::NoFreeSlot { ahead: 0 } => f.write_str("all matching slots are in use"),
            Self::NoFreeSlot { ahead: 1 } => f.write_str("all matching slots are in use, and 1 ready item goes first"),
            Self::NoFreeSlot { ahead } => write!(f, "all matching slots are in use, and {ahead} ready items go first"),
            Self::OutpostPaused { outpost, why } => write!(f, "outpost {outpost} accepts no new work: {why}"),
            Self::OutpostSuspect { outpost, why } => write!(
                f,
                "outpost {outpost} gets one worker at a time, with pauses, since its last ones all failed within seconds: {why}"
            ),
            Self::QueueHalted { repo, why } => write!(f, "the merge queue of repo \"{repo}\" is halted: {why}"),
            Self::QueueFrozen { repo, why } => {
                write!(f, "nothing lands, because the merge queue of repo \"{repo}\" is frozen: {why}")
            }
            Self::QueueFailing { repo, why } => {
                write!(f, "the merge queue of repo \"{repo}\" failed and tries again every few seconds: {why}")
            }
            Self::Landing { commit } => write!(f, "candidate {} passed and is landing", commit.short()),
            Self::Landed { commit } => write!(f, "the change landed as {}", commit.short()),
            Self::OutOfQueue { why, .. } => write!(f, "the change left the merge queue: {why}"),
            Self::Direct { skip_gates: true, why } => {
                write!(f, "the change lands outside the merge queue, without its gates: {why}")
            }
            Self::Direct { skip_gates: false, .. } => {
                f.write_str("the change lands outside the merge queue, as soon as its gates pass")
            }
            Self::AwaitsApproval { what, .. } => {
                write!(f, "the change waits for a person's approval: it changes protected paths: {what}")
            }
            Self::NotKnown { why } => write!(f, "whether the change may land is not known now: {why}"),
            Self::NotPlanned => f.write_str("the change is new; the merge queue plans it in its next pass"),
            Self::Position { position, repo } => {
                write!(f, "the change is number {position} in the merge queue of repo \"{repo}\"")
            }
            Self::Overlap { changes } => {
                let (noun, them) = if changes.len() == 1 { ("change", "it") } else { ("changes", "them") };
                write!(f, "the change overlaps the earlier {noun} {} and waits for {them}", listed(changes))
            }
            Self::NoTrial => f.write_str(
                "no trial contains the change yet: other trials are more likely to land, or the slots are in use",
            ),
            Self::LeftOut { change, files } => {
                write!(f, "change {change} is without what its worker changed and did not commit: {files}")
            }
            Self::BehindDirect { change } => {
                write!(f, "change {change}, which lands outside the merge queue, goes first")
            }
            Self::Chance { chance, prior } => chance_in_words(f, *chance, *prior),
            Self::Expected { left } => write!(f, "it lands in about {}", whole_seconds(*left)),
            Self::Trial { .. } => self.trial(f),
            Self::GateRunning { gate, worker } => write!(f, "worker {worker} runs gate \"{gate}\""),
            Self::GatePaused { gate, until } => {
                write!(f, "gate \"{gate}\" pauses until {until} after an infrastructure failure")
            }
            Self::GatesWaiting { trial } => write!(f, "gates of trial {trial} wait for a slot"),
            Self::BranchRed { commit, why } => write!(
                f,
                "the branch itself does not pass its gates at {}: {why}; no change is rejected for that, and a change that repairs the branch lands; repair it with an item, or at the upstream",
                commit.short()
            ),
            Self::BranchMissing { branch, .. } => write!(f, "branch \"{branch}\" does not exist"),
            Self::NoGate { branch, .. } => write!(
                f,
                "no gate is configured, so every change lands unchecked; name gates in {} on branch {branch} or in the repo's settings",
                crate::config::CONFIG_FILE
            ),
            Self::NoRepoCommand { .. } => f.write_str("the repo has no command, so each item must bring its own"),
            Self::UpstreamRewritten { was, now, .. } => write!(
                f,
                "the upstream's branch was rewritten outside of the coordinator: it was at {}, and is at {}, which does not hold that; nothing lands until a person decides which counts",
                was.short(),
                now.short()
            ),
            Self::SetupFails { outposts, why, .. } => {
                let outposts = outposts.iter().map(OutpostName::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "workspaces cannot be set up: {why} (on {outposts}); it is tried again by itself")
            }
            Self::SubmoduleMissing { path, why, .. } => {
                write!(f, "workers find the submodule {path} empty: {why}; it is fetched again by itself")
            }
            Self::LfsMissing { count, why, .. } => {
                let objects = if *count == 1 { "an object".to_owned() } else { format!("{count} objects") };
                write!(
                    f,
                    "workers find pointers in the place of {objects} of Git LFS: {why}; it is asked for again with each checkout"
                )
            }
            Self::PushUnknown { branch, probed: false, .. } => write!(
                f,
                "whether the upstream takes a push to {branch} is not known yet: a protected branch or a hook that refuses shows at the first landing"
            ),
            Self::PushUnknown { branch, probed: true, .. } => write!(
                f,
                "the upstream has taken a branch and its removal; whether {branch} itself is protected is not known yet, and shows at the first landing"
            ),
            Self::UpstreamBehind { since, why, .. } => {
                write!(f, "since {since} the upstream has taken no push: {why}; the push is tried again by itself")
            }
            Self::CannotLand { why, .. } => write!(f, "nothing can land: {why}"),
        }
    }
}

impl Reason {
    /// How a trial of a change stands.
    fn trial(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Trial { trial, base, with, state, confirming, why } = self else { return Ok(()) };
        let with = match with.as_slice() {
            [] => String::new(),
            [one] => format!(" with change {one}"),
            several => format!(" with changes {}", listed(several)),
        };
        let on = format!("(on {}{with})", base.short());
        match state {
            TrialStateName::Gating if *confirming => {
                write!(f, "trial {trial} {on} failed once; its failed gates run again on the same tree")
            }
            TrialStateName::Gating => write!(f, "trial {trial} gates the change on {}{with}", base.short()),
            TrialStateName::Passed => write!(f, "trial {trial} {on} passed"),
            TrialStateName::Suspect => write!(f, "trial {trial} {on} failed once: {why}"),
            TrialStateName::Failed => write!(f, "trial {trial} {on} failed: {why}"),
            TrialStateName::Unmergeable => write!(f, "trial {trial} {on} does not merge: {why}"),
            TrialStateName::Cancelled => write!(f, "trial {trial} was cancelled: {why}"),
        }
    }
}

/// The chance that a change lands, and what was assumed before its gates ran.
fn chance_in_words(f: &mut fmt::Formatter<'_>, chance: f64, prior: Option<Prior>) -> fmt::Result {
    write!(f, "the change lands with a chance of {:.0} %", chance * 100.0)?;
    match prior {
        Some(Prior { chance, like_it: 0, good: _ }) => {
            write!(f, "; before its gates ran: {:.0} %, the rate of the repo", chance * 100.0)
        }
        Some(Prior { chance, like_it, good }) => write!(
            f,
            "; before its gates ran: {:.0} %, since {good} of the latest {like_it} changes of the same role and files were good",
            chance * 100.0
        ),
        None => Ok(()),
    }
}

fn listed(changes: &[ChangeId]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn whole_seconds(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(duration.as_secs()))
}
