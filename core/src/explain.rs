//! What an item or a change waits for, in words; derived, never stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::change::{Change, ChangeState};
use crate::conflict::Conflict;
use crate::ids::{ChangeId, CommitId, OutpostName};
use crate::item::{Item, Stage};
use crate::job::Role;
use crate::merge_queue::Standing;
use crate::merge_queue::prior::Prior;
use crate::schedule::{Hold, Unplaced};
use crate::trial::{RunState, Trial, TrialState};

/// The answer to "why is nothing happening?".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// One sentence for each thing that it waits for; what happens now, if it waits for nothing.
    pub lines: Vec<String>,
    /// Nothing of what it waits for will come by itself: a person must act.
    pub stuck: bool,
}

impl Explanation {
    fn waiting(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], stuck: false }
    }

    fn stuck(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], stuck: true }
    }
}

/// What is known around an item when it is explained.
#[derive(Debug, Clone, Default)]
pub struct ItemSurroundings {
    pub hold: Option<Hold>,
    /// Its open needs: id, stage, and whether they are stuck themselves.
    pub needs: Vec<(Item, bool)>,
    pub children: Vec<Item>,
    /// Where the scheduler would put it.
    pub unplaced: Option<Unplaced>,
    /// Ready work that goes before it.
    pub ahead: usize,
    /// What its change waits for, while it is in the merge queue.
    pub change: Option<Explanation>,
    /// The outposts that are there and take nothing new, each with why.
    pub resting: Vec<(OutpostName, String)>,
    /// For how long the outpost that works on it still keeps it, while it is cut off.
    pub lapses_in: Option<Duration>,
    /// The repo has no command line for its role, and the item brings none.
    pub nothing_to_run: bool,
    /// What the worker is for that has it, or gets it next.
    pub role: Option<Role>,
}

/// Explains what `item` waits for.
pub fn explain_item(item: &Item, around: &ItemSurroundings) -> Explanation {
    let mut explanation = explain_stage(item, around);
    if let (Some(conflict), Some(role)) = (&item.conflict, around.role) {
        explanation.lines.insert(0, explain_conflict(conflict, role));
    }
    explanation
}

/// Who is to resolve a conflict.
fn explain_conflict(conflict: &Conflict, role: Role) -> String {
    match role {
        Role::Resolver => format!("{conflict}; a resolver is to merge it"),
        Role::Developer | Role::Tester | Role::Reviewer | Role::Librarian | Role::Lead | Role::Gate => {
            format!("{conflict}; a {role} is to bring it again")
        }
    }
}

fn explain_stage(item: &Item, around: &ItemSurroundings) -> Explanation {
    let id = item.id;
    match &item.stage {
        Stage::Inbox | Stage::Planning => {
            Explanation::stuck(format!("it is in {}; move it on with: sprintctl item ready {id}", item.stage.name()))
        }
        Stage::Ready => explain_ready(item, around),
        Stage::InProgress { lease } => match around.lapses_in {
            Some(left) => Explanation::waiting(format!(
                "worker {} has attempt {}, and its outpost {} is cut off; if it is not back in {}, another attempt begins elsewhere",
                lease.worker,
                item.attempt,
                lease.outpost,
                humantime::format_duration(Duration::from_secs(left.as_secs()))
            )),
            None => Explanation::waiting(format!(
                "worker {} works on attempt {} on outpost {}; watch it with: sprintctl worker logs -f {}",
                lease.worker, item.attempt, lease.outpost, lease.worker
            )),
        },
        Stage::InReview | Stage::InTests | Stage::InDocs => {
            Explanation::waiting(format!("it is in {}", item.stage.name()))
        }
        Stage::Merging { change } => {
            let mut lines = vec![format!("its change {change} is in the merge queue")];
            let mut stuck = false;
            if let Some(inner) = &around.change {
                lines.extend(inner.lines.iter().cloned());
                stuck = inner.stuck;
            }
            Explanation { lines, stuck }
        }
        Stage::Done { commit: Some(commit) } => {
            Explanation::waiting(format!("it is done: landed as {}", commit.short()))
        }
        Stage::Done { commit: None } => Explanation::waiting("it is done"),
        Stage::Blocked { reason } => {
            Explanation::stuck(format!("it is blocked: {reason}; when that is settled: sprintctl item retry {id}"))
        }
        Stage::Cancelled { reason } => Explanation::stuck(format!("it was cancelled: {reason}")),
    }
}

fn explain_ready(item: &Item, around: &ItemSurroundings) -> Explanation {
    match &around.hold {
        Some(Hold::Container) if around.children.is_empty() => {
            Explanation::stuck("it is a feature without children; add some with: sprintctl item add --parent")
        }
        Some(Hold::Container) => Explanation {
            lines: around
                .children
                .iter()
                .map(|child| format!("its child {} is {}", child.id, child.stage.name()))
                .collect(),
            stuck: false,
        },
        Some(Hold::InConvoy { convoy }) => {
            Explanation::waiting(format!("it is worked on as part of its convoy {convoy}"))
        }
        Some(Hold::Needs { .. }) => Explanation {
            lines: around
                .needs
                .iter()
                .map(|(need, stuck)| {
                    let note = if *stuck { ", which will not change by itself" } else { "" };
                    format!("it needs item {} ({}), which is {}{note}", need.id, need.title, need.stage.name())
                })
                .collect(),
            stuck: around.needs.iter().any(|(_, stuck)| *stuck),
        },
        Some(Hold::Pause { until }) => Explanation::waiting(format!(
            "it pauses until {until} after an infrastructure failure ({}); go on at once with: sprintctl item retry {}",
            item.reason(),
            item.id
        )),
        Some(Hold::NotReady) | None if around.nothing_to_run => Explanation::stuck(format!(
            "there is nothing to run; give it a command with: sprintctl item edit {} --run CMD, or its repo one with: sprintctl repo set {} --run CMD",
            item.id, item.repo
        )),
        Some(Hold::NotReady) | None if around.unplaced == Some(Unplaced::NoMatchingLabels) => {
            let wanted = item.requires.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
            Explanation::waiting(format!(
                "no outpost that is online carries the labels it requires ({}); join one with: outpost-agent join --label",
                wanted.join(", ")
            ))
        }
        Some(Hold::NotReady) | None => {
            let mut explanation = unplaced(around.unplaced.as_ref(), around.ahead);
            let resting =
                around.resting.iter().map(|(outpost, why)| format!("outpost {outpost} takes nothing new: {why}"));
            explanation.lines.extend(resting);
            explanation
        }
    }
}

fn unplaced(reason: Option<&Unplaced>, ahead: usize) -> Explanation {
    match reason {
        Some(Unplaced::NoOutpost) => {
            Explanation::waiting("no outpost is online; start one with: outpost-agent join --coordinator HOST:PORT")
        }
        Some(Unplaced::NoMatchingLabels) => {
            Explanation::waiting("no outpost that is online carries the labels it requires")
        }
        Some(Unplaced::RoleLimit { max }) => {
            Explanation::waiting(format!("the repo runs its limit of {max} workers of this role"))
        }
        Some(Unplaced::NoFreeSlot) => Explanation::waiting(format!(
            "every slot that could take it is in use; {ahead} pieces of work go before it"
        )),
        None => Explanation::waiting("the scheduler gives it out at its next turn"),
    }
}

/// What is known around a change when it is explained.
#[derive(Debug, Clone, Default)]
pub struct ChangeSurroundings {
    /// How it stands in the queue, while it is there.
    pub standing: Option<Standing>,
    /// The trial that is most likely to land it.
    pub trial: Option<Trial>,
    /// Why the merge queue of its repo stands still.
    pub halted: Option<String>,
    /// Why the merge queue of its repo failed when it last tried.
    pub trouble: Option<String>,
    /// Where the scheduler would put the trial's next gate.
    pub unplaced: Option<Unplaced>,
    /// The branch's tip, when that itself failed twice, and why.
    pub red_tip: Option<(CommitId, String)>,
    /// Why nothing lands, while gates go on.
    pub frozen: Option<String>,
    /// The change that lands beside the queue, and that others wait for.
    pub direct: Option<ChangeId>,
}

/// Explains what `change` waits for.
pub fn explain_change(change: &Change, around: &ChangeSurroundings) -> Explanation {
    if change.state.is_pending()
        && change.direct.is_none()
        && let Some(reason) = &around.halted
    {
        return Explanation::stuck(format!(
            "the merge queue of {} stands still: {reason}; when that is settled: sprintctl repo set {} --resume",
            change.repo, change.repo
        ));
    }
    if change.state.is_pending()
        && let Some(reason) = &around.trouble
    {
        return Explanation::waiting(format!(
            "the merge queue of {} failed, and is tried again every few seconds: {reason}",
            change.repo
        ));
    }
    match &change.state {
        ChangeState::Queued => explain_queued(change, around),
        ChangeState::Landing { candidate } => {
            Explanation::waiting(format!("candidate {} passed and is being landed", candidate.commit.short()))
        }
        ChangeState::Landed { candidate } => Explanation::waiting(format!("it landed as {}", candidate.commit.short())),
        ChangeState::Failed { .. } | ChangeState::Conflicted { .. } => Explanation::stuck(format!(
            "it is out of the queue: {}; put it back with: sprintctl change retry {}",
            change.reason(),
            change.id
        )),
    }
}

fn explain_queued(change: &Change, around: &ChangeSurroundings) -> Explanation {
    let mut lines = Vec::new();
    if let Some(direct) = &change.direct {
        if direct.skip_gates {
            lines.push(format!("it lands beside the merge queue, ungated: {}", direct.reason));
        } else {
            lines.push("it lands beside the merge queue, as soon as its gates have passed".to_owned());
        }
        if let Some(trial) = &around.trial {
            explain_trial(change, trial, around, &mut lines);
        }
        return Explanation { lines, stuck: false };
    }
    let Some(standing) = &around.standing else {
        return Explanation::waiting("it came just now; the merge queue looks at it at its next turn");
    };
    lines.push(format!("it is number {} in the merge queue of {}", standing.position, change.repo));
    if !standing.waits_for.is_empty() {
        let others = standing.waits_for.iter().map(ToString::to_string).collect::<Vec<_>>();
        lines.push(format!("what it touches, changes before it touch, too; it waits for change {}", others.join(", ")));
    }
    match &around.trial {
        Some(trial) => explain_trial(change, trial, around, &mut lines),
        None => {
            lines.push("no trial of it runs yet: others are more likely to be needed, or slots are short".to_owned());
        }
    }
    lines.push(format!("the chance that it lands is put at {:.0} %{}", standing.chance * 100.0, before(standing)));
    if let Some(left) = standing.expected {
        lines.push(format!("expected in about {}", humantime::format_duration(Duration::from_secs(left.as_secs()))));
    }
    if let Some((tip, reason)) = &around.red_tip {
        lines.push(format!(
            "the branch itself does not pass its gates at {}: {reason}; nobody is blamed for that, and what mends it lands; mend it by an item, or at the upstream",
            tip.short()
        ));
    }
    if let Some(direct) = around.direct {
        lines.push(format!("nothing else lands before change {direct}, which lands beside the merge queue"));
    }
    if let Some(reason) = &around.frozen {
        lines.push(format!(
            "nothing lands, the merge queue is frozen: {reason}; go on with: sprintctl repo set {} --resume",
            change.repo
        ));
    }
    Explanation { lines, stuck: around.frozen.is_some() || around.red_tip.is_some() }
}

/// What was held of a change before anything was known of it, and why.
fn before(standing: &Standing) -> String {
    match standing.prior {
        Some(Prior { chance, like_it: 0, good: _ }) => {
            format!("; before it was gated at {:.0} %, as of the repo's others", chance * 100.0)
        }
        Some(Prior { chance, like_it, good }) => format!(
            "; before it was gated at {:.0} %: {good} of the {like_it} latest like it (role, and what it touches) were good",
            chance * 100.0
        ),
        None => String::new(),
    }
}

/// How a trial of a change stands.
fn explain_trial(change: &Change, trial: &Trial, around: &ChangeSurroundings, lines: &mut Vec<String>) {
    let with = trial.members.iter().filter(|member| member.change != change.id);
    let with = with.map(|member| member.change.to_string()).collect::<Vec<_>>();
    let with = if with.is_empty() { String::new() } else { format!(" with change {}", with.join(", ")) };
    let (id, base) = (trial.id, trial.candidate.base.short());
    lines.push(match &trial.state {
        TrialState::Gating if trial.confirming => {
            format!("trial {id} (on {base}{with}) failed once; its failed gates run again on the same tree")
        }
        TrialState::Gating => format!("trial {id} gates it on {base}{with}"),
        TrialState::Passed => format!("trial {id} (on {base}{with}) has passed"),
        TrialState::Suspect { reason, detail: _ } => format!("trial {id} (on {base}{with}) failed once: {reason}"),
        TrialState::Failed { reason, detail: _ } => format!("trial {id} (on {base}{with}) failed: {reason}"),
        TrialState::Unmergeable { paths } => {
            format!("trial {id}: it does not merge{with}: conflicts in {}", paths.join(", "))
        }
        TrialState::Cancelled { reason } => format!("trial {id} was cancelled: {reason}"),
    });
    for run in &trial.runs {
        let name = &run.gate.name;
        match &run.state {
            RunState::Running { worker } => lines
                .push(format!("worker {worker} runs gate {name:?}; watch it with: sprintctl worker logs -f {worker}")),
            RunState::Waiting { not_before: Some(until) } => {
                lines.push(format!("gate {name:?} pauses until {until} after an infrastructure failure"));
            }
            RunState::Waiting { not_before: None } => {}
            RunState::Passed | RunState::Failed | RunState::Cancelled => {}
        }
    }
    if trial.startable().next().is_some() {
        lines.push("its gates wait for a slot".to_owned());
        lines.extend(unplaced(around.unplaced.as_ref(), 0).lines);
    }
}
