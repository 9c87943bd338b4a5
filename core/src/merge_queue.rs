//! The merge queue's decision: which trees to gate, which to land, whom to send back.
//!
//! A **trial** is the tip with some pending changes merged onto it, in the order of the queue. The planner sees
//! the pending changes, what is known of trials, and how many can be gated at a time; it answers with the steps to
//! take. It knows no clock, no git and no chance: the same snapshot always gives the same plan.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::prior::Prior;
use crate::change::Change;
use crate::gates::duration_text;
use crate::ids::{ChangeId, TrialId};
use crate::trial::TrialStateName;

mod belief;
mod bits;
mod board;
mod choose;
mod line;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod outlook;
mod plan;
pub mod prior;
mod settle;
pub mod snapshot;

pub use plan::plan;

pub use crate::config::Landing;

/// How far the queue may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueMode {
    Open,
    /// Nothing new is gated or landed.
    Halted,
    /// Gates go on; nothing lands.
    Frozen,
}

/// What a repo allows its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub landing: Landing,
    pub pace: QueueMode,
    /// Whether changes may land together, by one move of the branch to a tree that was gated as a whole.
    pub together: bool,
}

/// A change in the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub id: ChangeId,
    /// The pending changes before it that touch what it touches.
    pub overlaps: Vec<ChangeId>,
    /// The pending changes whose commits its branch contains: it lands with or after them, and leaves when they do.
    pub parents: Vec<ChangeId>,
    /// The chance that its gates pass on a green base, from history; above 0 and below 1.
    pub prior: f64,
    /// The order of the queue puts it before those that wait and are not urgent.
    pub urgent: bool,
}

/// What is known of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialProgress {
    /// Its gates run, or wait for a slot, which counts as running.
    Running,
    Passed,
    /// Its gates failed once; no change is rejected before they have failed again on the same tree.
    Suspect,
    /// The second run, alone, is under way.
    Confirming,
    /// They failed twice.
    Failed,
    /// Its changes do not merge by themselves; nothing was gated. Its members are those up to and with the first that
    /// does not merge onto those before it.
    Unmergeable,
}

/// How a trial's foundation compares with the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Its tree is just what the tip would become with its members.
    Exact,
    /// The tip has gained only changes that its members do not overlap.
    Disjoint,
    /// The tip has gained something that its members overlap, or whose paths are unknown.
    Old,
}

/// A trial that concerns pending changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialFacts {
    pub id: TrialId,
    /// In the order of the queue. Those that have landed since are not among them.
    pub members: Vec<ChangeId>,
    /// A trial that is not exact still tells about its members.
    pub fit: Fit,
    pub state: TrialProgress,
    /// Whether the tip that it was built on had passed, as far as is known now. If not, its failure rejects no change.
    pub green_base: bool,
}

/// A repo's queue as the planner sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// In the order of the queue: priority, then age.
    pub changes: Vec<Pending>,
    pub trials: Vec<TrialFacts>,
    /// Whether the tip's own tree has passed. It has, except after a relaxed landing or a move outside of the coordinator.
    pub tip_is_gated: bool,
    /// How many trials can be gated at a time, those that run now included.
    pub slots: usize,
    pub policy: Policy,
    /// The chance that green changes fail together, by whether they overlap; from history.
    pub clash: Clash,
    /// The chance that gates fail on a tree that is good; from history.
    pub flake: f64,
}

/// How often two changes that are each good fail together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clash {
    pub overlapping: f64,
    pub disjoint: f64,
}

/// What to do now; in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Action {
    /// Moves the branch to this trial's tree: all its members land.
    Land { trial: TrialId },
    /// Sends a change back: it failed in `trial`, whose every other member is known to be good.
    Eject { change: ChangeId, trial: TrialId },
    /// Sends a change back because one whose commits it contains was sent back.
    Follow { change: ChangeId, parent: ChangeId },
    /// Ends the gates of a trial that cannot matter any more.
    Cancel { trial: TrialId },
    /// Gates the tree of a suspect trial once more.
    Confirm { trial: TrialId },
    /// Gates the tip with these changes, which are in the order of the queue; the tip itself, when there are none.
    Gate { members: Vec<ChangeId> },
}

/// How a change stands, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// 1 for the first in the queue.
    pub position: usize,
    /// The changes that must land or leave before it can land.
    pub waits_for: Vec<ChangeId>,
    /// The trial that is most likely to land it, if one runs or is done.
    pub trial: Option<TrialId>,
    /// The chance that it lands, by what is known now.
    pub chance: f64,
}

/// The planner's answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub steps: Vec<Action>,
    pub outlook: BTreeMap<ChangeId, Outlook>,
}

/// How a change stands in the queue, as people and scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// 1 for the first in the queue.
    pub position: usize,
    /// The changes that must land or leave before it can land.
    pub waits_for: Vec<ChangeId>,
    /// The trial that is most likely to land it.
    pub trial: Option<TrialId>,
    pub trial_state: Option<TrialStateName>,
    /// What that trial gates it with.
    pub with: Vec<ChangeId>,
    /// The chance that it lands, from 0 to 1.
    pub chance: f64,
    /// The prior chance that it is good.
    pub prior: Option<Prior>,
    /// When it can be expected to land, by how long gates took before.
    #[serde(with = "duration_text::optional")]
    pub expected: Option<Duration>,
}
/// A change, with how it stands while it is in its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSeen {
    pub change: Change,
    pub standing: Option<Standing>,
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod scenarios;
