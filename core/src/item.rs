//! An item: a unit of work, and its way through the stages.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::conflict::Conflict;
use crate::event::Recorded as _;
use crate::ids::{Attempt, ChangeId, ItemId, OutpostName, RepoName, WorkerId};
pub use crate::item_event::{Delivery, ItemEffect, ItemEvent};
use crate::repo::NothingToDo;
pub use crate::stage::{Lease, Stage, StageName};
use crate::time::Timestamp;

/// The largest item, as the bytes of all its texts together.
pub const MAX_ITEM_BYTES: usize = 1 << 20;
/// The most bytes of a title.
pub const MAX_TITLE_BYTES: usize = 4_096;

crate::words! {
    /// What an item is.
    pub enum ItemKind as "item kind" {
        /// A container: done when its children are.
        Feature => "feature",
        /// The tasks of one user story, given to one worker.
        Convoy => "convoy",
        Task => "task",
        Bug => "bug",
        Chore => "chore",
    }
}

crate::words! {
    /// How urgent an item is, lowest first.
    pub enum Priority as "priority" { Low => "low", Medium => "medium", High => "high", Urgent => "urgent" }
}

/// What an earlier attempt taught, handed to the next one in `context/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    pub attempt: Attempt,
    pub text: String,
}

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub id: ItemId,
    pub repo: RepoName,
    pub kind: ItemKind,
    pub title: String,
    pub description: String,
    pub acceptance: Vec<String>,
    pub priority: Priority,
    /// Words for people and filters.
    pub labels: BTreeSet<String>,
    /// Labels an outpost must carry to be given this item.
    pub requires: BTreeMap<String, String>,
    pub parent: Option<ItemId>,
    /// The item on which a worker found and filed this one.
    #[serde(default)]
    pub discovered_from: Option<ItemId>,
    /// Items that must be done before this one is given out.
    pub needs: BTreeSet<ItemId>,
    /// The command line for the `shell` runtime; the repo's own when absent.
    pub run: Option<String>,
    #[serde(flatten)]
    pub stage: Stage,
    /// The number of the newest attempt.
    pub attempt: Attempt,
    /// Attempts that failed by their own fault since the last `retry`.
    pub failures: u32,
    /// Attempts in a row that infrastructure ended; sets the pause before the next.
    pub losses: u32,
    /// Outposts where an attempt failed at once; others are tried first. A result empties it.
    #[serde(default)]
    pub avoid: Vec<OutpostName>,
    /// Not given out before this time.
    pub not_before: Option<Timestamp>,
    /// What has to be resolved before its work can land; a new result takes its place.
    #[serde(default)]
    pub conflict: Option<Conflict>,
    /// It is blocked on a worker's word that there is nothing to do.
    #[serde(default)]
    pub nothing_to_do: bool,
    pub feedback: Vec<Feedback>,
    pub created_at: Timestamp,
    /// The time of the last event or edit.
    pub updated_at: Timestamp,
    /// When it entered its stage; unknown in older records until it enters another.
    #[serde(default)]
    pub stage_since: Option<Timestamp>,
}

crate::noun!(Item, "item", "number");

impl Item {
    /// Applies `event` and returns the effects it demands.
    ///
    /// # Errors
    /// [`Refused`] when the stage does not accept `event` or it speaks for an
    /// older attempt; `self` is unchanged.
    pub fn apply(&mut self, event: ItemEvent, now: Timestamp) -> Result<Vec<ItemEffect>, Refused> {
        let before = self.stage.name();
        let effects = match (&self.stage, event) {
            (Stage::Inbox | Stage::Planning, ItemEvent::Readied) => {
                self.stage = Stage::Ready;
                vec![ItemEffect::Schedule]
            }
            (Stage::Ready, ItemEvent::Leased { attempt, lease }) => {
                if attempt != self.attempt.next() {
                    return Err(Refused::StaleAttempt { carried: attempt, live: self.attempt });
                }
                self.attempt = attempt;
                self.not_before = None;
                self.stage = Stage::InProgress { lease };
                vec![]
            }
            (Stage::InProgress { .. }, ItemEvent::Delivered { attempt, change }) => {
                self.fence(attempt)?;
                self.losses = 0;
                self.avoid.clear();
                self.stage = Stage::Merging { change, landed: None };
                vec![]
            }
            (Stage::InProgress { .. }, ItemEvent::AttemptFailed { attempt, reason, detail, max_attempts, avoid }) => {
                self.fence(attempt)?;
                self.shun(avoid);
                self.losses = 0;
                self.fail(&reason, &detail, max_attempts)
            }
            (Stage::InProgress { .. }, ItemEvent::NothingToDo { attempt, reason, way }) => {
                self.fence(attempt)?;
                self.losses = 0;
                // A worker's word meets no criterion.
                self.nothing_to_do = way == NothingToDo::Block || !self.acceptance.is_empty();
                self.stage = if self.nothing_to_do {
                    Stage::Blocked { reason: format!("nothing to do, says attempt {attempt}: {reason}") }
                } else {
                    Stage::Done { commit: None }
                };
                vec![ItemEffect::Settle]
            }
            (Stage::InProgress { .. }, ItemEvent::AttemptLost { attempt, reason, retry_at, avoid }) => {
                self.fence(attempt)?;
                self.shun(avoid);
                self.losses += 1;
                self.not_before = Some(retry_at);
                self.learn(reason);
                self.stage = Stage::Ready;
                vec![ItemEffect::Schedule]
            }
            (
                Stage::Merging { change: held, landed: None },
                ItemEvent::Rejected { change, reason, detail, conflict, max_attempts },
            ) if *held == change => {
                self.conflict = conflict;
                self.fail(&reason, &detail, max_attempts)
            }
            (Stage::Merging { change: held, landed: None }, ItemEvent::Landed { change, commit, delivery })
                if *held == change =>
            {
                self.stage = match delivery {
                    Delivery::Owed => Stage::Merging { change, landed: Some(commit) },
                    Delivery::Complete => Stage::Done { commit: Some(commit) },
                };
                vec![ItemEffect::Settle]
            }
            (Stage::Merging { landed: Some(landed), .. }, ItemEvent::AtUpstream { commit }) if *landed == commit => {
                self.stage = Stage::Done { commit: Some(commit) };
                vec![ItemEffect::Settle]
            }
            (Stage::Merging { landed: Some(_), .. } | Stage::Done { commit: Some(_) }, ItemEvent::Undone { reason }) => {
                self.stage = Stage::Blocked { reason };
                vec![ItemEffect::Settle]
            }
            (Stage::Inbox | Stage::Planning | Stage::Ready, ItemEvent::ChildrenDone) => {
                self.stage = Stage::Done { commit: None };
                vec![ItemEffect::Settle]
            }
            (Stage::Inbox | Stage::Planning | Stage::Ready, ItemEvent::ConvoyDone { convoy: _, commit }) => {
                self.stage = Stage::Done { commit: Some(commit) };
                vec![ItemEffect::Settle]
            }
            (Stage::Blocked { .. } | Stage::Ready, ItemEvent::Requeued { change }) => {
                self.stage = Stage::Merging { change, landed: None };
                vec![]
            }
            (Stage::InProgress { lease }, ItemEvent::Submitted { attempt, change }) if self.may_be(attempt) => {
                let worker = lease.worker;
                self.submit(attempt, change);
                vec![ItemEffect::StopWorker { worker }]
            }
            (
                Stage::Inbox | Stage::Planning | Stage::Ready | Stage::Blocked { .. },
                ItemEvent::Submitted { attempt, change },
            ) if self.may_be(attempt) => {
                self.submit(attempt, change);
                vec![]
            }
            (Stage::Merging { change: held, landed: None }, ItemEvent::Submitted { attempt, change })
                if *held == change && self.may_be(attempt) =>
            {
                self.submit(attempt, change);
                vec![]
            }
            (
                Stage::Inbox | Stage::Planning | Stage::Ready | Stage::Blocked { .. },
                ItemEvent::Resolved { reason: _ },
            ) => {
                self.stage = Stage::Done { commit: None };
                vec![ItemEffect::Settle]
            }
            (Stage::Blocked { .. } | Stage::Cancelled { .. }, ItemEvent::Retried) => {
                self.failures = 0;
                self.losses = 0;
                self.avoid.clear();
                self.not_before = None;
                self.conflict = None;
                self.stage = Stage::Ready;
                vec![ItemEffect::Schedule]
            }
            // A pause after an infrastructure failure can be ended early by a person.
            (Stage::Ready, ItemEvent::Retried) if self.not_before.is_some() => {
                self.losses = 0;
                self.not_before = None;
                vec![ItemEffect::Schedule]
            }
            (Stage::Inbox | Stage::Planning | Stage::Ready, ItemEvent::Blocked { reason }) => {
                self.stage = Stage::Blocked { reason };
                vec![ItemEffect::Settle]
            }
            (Stage::Merging { landed: None, .. }, ItemEvent::Blocked { reason }) => {
                self.stage = Stage::Blocked { reason };
                vec![ItemEffect::Settle]
            }
            (Stage::InProgress { lease }, ItemEvent::Cancelled { reason }) => {
                let worker = lease.worker;
                self.stage = Stage::Cancelled { reason };
                vec![ItemEffect::StopWorker { worker }, ItemEffect::Settle]
            }
            (Stage::Merging { change, landed: None }, ItemEvent::Cancelled { reason }) => {
                let change = *change;
                self.stage = Stage::Cancelled { reason };
                vec![ItemEffect::DropChange { change }, ItemEffect::Settle]
            }
            (
                Stage::Inbox
                | Stage::Planning
                | Stage::Ready
                | Stage::InReview
                | Stage::InTests
                // What has landed stays landed; its way to the upstream is not waited for.
                | Stage::Merging { landed: Some(_), .. }
                | Stage::InDocs
                | Stage::Blocked { .. },
                ItemEvent::Cancelled { reason },
            ) => {
                self.stage = Stage::Cancelled { reason };
                vec![ItemEffect::Settle]
            }
            // A report of an attempt that is over: say so by number rather than by stage.
            (
                stage,
                ItemEvent::Delivered { attempt, .. }
                | ItemEvent::AttemptFailed { attempt, .. }
                | ItemEvent::NothingToDo { attempt, .. }
                | ItemEvent::AttemptLost { attempt, .. },
            ) if attempt != self.attempt || !matches!(stage, Stage::InProgress { .. }) => {
                return Err(Refused::StaleAttempt { carried: attempt, live: self.attempt });
            }
            (stage, event) => {
                return Err(Refused::Illegal { entity: "item", state: stage.name().as_str(), event: event.name() });
            }
        };
        // There is nothing to resolve any more once there is a new result, or none is wanted.
        if !matches!(self.stage, Stage::Ready | Stage::InProgress { .. } | Stage::Blocked { .. }) {
            self.conflict = None;
        }
        self.nothing_to_do &= matches!(self.stage, Stage::Blocked { .. });
        self.updated_at = now;
        if self.stage.name() != before {
            self.stage_since = Some(now);
        }
        Ok(effects)
    }

    /// The reason that people read for the stage it is in; empty where none is needed.
    pub fn reason(&self) -> &str {
        match &self.stage {
            Stage::Blocked { reason } | Stage::Cancelled { reason } => reason,
            Stage::Ready => self.feedback.last().map_or("", |last| &last.text),
            Stage::Inbox
            | Stage::Planning
            | Stage::InProgress { .. }
            | Stage::InReview
            | Stage::InTests
            | Stage::Merging { .. }
            | Stage::InDocs
            | Stage::Done { .. } => "",
        }
    }

    /// Whether nothing more is to become of it.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Done { .. } | Stage::Cancelled { .. })
    }

    /// Whether its work is on the target branch, for what needs it; the upstream may still lack it.
    pub const fn has_landed(&self) -> bool {
        matches!(self.stage, Stage::Done { .. } | Stage::Merging { landed: Some(_), .. })
    }

    /// The worker that holds its lease now.
    pub const fn worker(&self) -> Option<WorkerId> {
        match &self.stage {
            Stage::InProgress { lease } => Some(lease.worker),
            Stage::Inbox
            | Stage::Planning
            | Stage::Ready
            | Stage::InReview
            | Stage::InTests
            | Stage::Merging { .. }
            | Stage::InDocs
            | Stage::Done { .. }
            | Stage::Blocked { .. }
            | Stage::Cancelled { .. } => None,
        }
    }

    /// The bytes of all its texts.
    pub fn size(&self) -> usize {
        self.title.len()
            + self.description.len()
            + self.run.as_ref().map_or(0, String::len)
            + self.acceptance.iter().map(String::len).sum::<usize>()
            + self.labels.iter().map(String::len).sum::<usize>()
            + self.requires.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }

    /// About how many bytes it has, with what was said of its attempts.
    pub fn bytes(&self) -> u64 {
        let said = self.feedback.iter().map(|feedback| feedback.text.len()).sum::<usize>();
        (self.size() + said + size_of::<Self>()) as u64
    }

    fn fence(&self, carried: Attempt) -> Result<(), Refused> {
        if carried == self.attempt { Ok(()) } else { Err(Refused::StaleAttempt { carried, live: self.attempt }) }
    }

    /// Whether a person's commits may be this attempt: the newest, or a new one.
    fn may_be(&self, attempt: Attempt) -> bool {
        attempt == self.attempt || attempt == self.attempt.next()
    }

    fn submit(&mut self, attempt: Attempt, change: ChangeId) {
        self.attempt = attempt;
        self.losses = 0;
        self.stage = Stage::Merging { change, landed: None };
    }

    fn shun(&mut self, outpost: Option<OutpostName>) {
        self.avoid.extend(outpost.filter(|outpost| !self.avoid.contains(outpost)));
    }

    fn learn(&mut self, text: String) {
        // What keeps coming is told once.
        if let Some(last) = self.feedback.last_mut().filter(|last| last.text == text) {
            last.attempt = self.attempt;
            return;
        }
        self.feedback.push(Feedback { attempt: self.attempt, text });
    }

    fn fail(&mut self, reason: &str, detail: &str, max_attempts: u32) -> Vec<ItemEffect> {
        self.failures += 1;
        let detail = detail.trim_end();
        self.learn(if detail.is_empty() { reason.to_owned() } else { format!("{reason}\n\n{detail}") });
        if self.failures >= max_attempts {
            self.stage =
                Stage::Blocked { reason: format!("attempt {} of {max_attempts} failed: {reason}", self.failures) };
            vec![ItemEffect::Settle]
        } else {
            self.stage = Stage::Ready;
            vec![ItemEffect::Schedule]
        }
    }
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
