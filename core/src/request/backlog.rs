use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{ChangeId, ItemId, RepoName};
use crate::item::{Item, ItemKind, Priority, StageName};

/// An item to be added; `parent` and `needs` are item numbers or keys of the same request.
#[derive(Debug, Clone)]
pub struct NewItem {
    pub key: Option<String>,
    pub repo: RepoName,
    pub kind: ItemKind,
    pub title: String,
    pub description: String,
    pub acceptance: Vec<String>,
    pub priority: Priority,
    pub labels: BTreeSet<String>,
    pub requires: BTreeMap<String, String>,
    pub parent: Option<String>,
    /// The item on which a worker found it.
    pub discovered_from: Option<ItemId>,
    pub needs: Vec<String>,
    pub run: Option<String>,
    pub stage: StageName,
}

/// An edit of an item; an absent field stays as it is.
#[derive(Debug, Clone)]
pub struct ItemEdit {
    pub id: ItemId,
    pub title: Option<String>,
    pub description: Option<String>,
    pub priority: Option<Priority>,
    /// An empty command line takes it away.
    pub run: Option<String>,
    pub needs: Option<BTreeSet<ItemId>>,
    pub labels: Option<BTreeSet<String>>,
    pub acceptance: Option<Vec<String>>,
    pub requires: Option<BTreeMap<String, String>>,
}

/// Items to wait for.
#[derive(Debug, Clone)]
pub struct ItemWait {
    pub items: Vec<ItemId>,
    /// The stage that all of them must reach.
    pub stage: StageName,
    /// Without it, the wait has no end of its own.
    pub limit: Option<Duration>,
    /// Given: the wait also ends when a change of one of the items, other than these, waits for approval.
    pub known_approvals: Option<BTreeSet<ChangeId>>,
}

crate::words! {
    /// How a wait ended.
    pub enum WaitResult as "result of a wait" {
        Reached => "reached",
        /// An item cannot get there any more.
        Impossible => "impossible",
        TimedOut => "timeout",
        /// A change waits for a person's approval; the wait may go on.
        Approval => "approval",
    }
}

/// How a wait ended, and the items as they were then.
#[derive(Debug, Clone)]
pub struct WaitReport {
    pub result: WaitResult,
    pub items: Vec<Item>,
    /// Why an item cannot get there any more, or what waits for approval; empty otherwise.
    pub reason: String,
    /// The changes that wait for approval, where the caller asked for that.
    pub approvals: Vec<ChangeId>,
}
