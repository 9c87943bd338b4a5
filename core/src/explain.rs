//! What an item or a change waits for, in words; derived, never stored.

use serde::{Deserialize, Serialize};

use crate::change::{Change, ChangeState};
use crate::item::{Item, Stage};
use crate::schedule::{Hold, Unplaced};

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
    /// The repo has no command line for its role, and the item brings none.
    pub nothing_to_run: bool,
}

/// Explains what `item` waits for.
pub fn explain_item(item: &Item, around: &ItemSurroundings) -> Explanation {
    let id = item.id;
    match &item.stage {
        Stage::Inbox | Stage::Planning => {
            Explanation::stuck(format!("it is in {}; move it on with: sprintctl item ready {id}", item.stage.name()))
        }
        Stage::Ready => explain_ready(item, around),
        Stage::InProgress { lease } => Explanation::waiting(format!(
            "worker {} works on attempt {} on outpost {}; watch it with: sprintctl worker logs -f {}",
            lease.worker, item.attempt, lease.outpost, lease.worker
        )),
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
        Some(Hold::NotReady) | None => unplaced(around.unplaced.as_ref(), around.ahead),
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
    /// The pending changes of its repo that go before it.
    pub ahead: usize,
    /// Why the merge queue of its repo stands still.
    pub halted: Option<String>,
    /// Why the merge queue of its repo failed when it last tried.
    pub trouble: Option<String>,
    /// Where the scheduler would put its gate run.
    pub unplaced: Option<Unplaced>,
}

/// Explains what `change` waits for.
pub fn explain_change(change: &Change, around: &ChangeSurroundings) -> Explanation {
    if change.state.is_pending()
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
        ChangeState::Queued if around.ahead > 0 => {
            Explanation::waiting(format!("{} changes go before it in the merge queue", around.ahead))
        }
        ChangeState::Queued => Explanation::waiting("it is the next; its candidate is being built"),
        ChangeState::Gating { candidate, worker: Some(worker) } => Explanation::waiting(format!(
            "worker {worker} runs its gates on candidate {}; watch it with: sprintctl worker logs -f {worker}",
            candidate.commit.short()
        )),
        ChangeState::Gating { worker: None, .. } => {
            let mut explanation = unplaced(around.unplaced.as_ref(), 0);
            explanation.lines.insert(0, "its gates wait for a slot".to_owned());
            explanation
        }
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
