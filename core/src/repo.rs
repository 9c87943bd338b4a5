//! A repo: a git repository under management, with its limits, gates and runtimes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::RepoAddress;
use crate::committing::Committing;
use crate::event::EventKind;
use crate::gates::{Gate, duration_text};
use crate::ids::{CommitId, RepoName};
use crate::job::Role;
use crate::runtime::Runtime;
use crate::time::Timestamp;

/// How often an item is tried when the repo does not say.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// How long a worker on an item may run when the repo does not say.
pub const DEFAULT_MAX_DURATION: Duration = Duration::from_hours(2);

/// For how long a worker may show no sign of life when the repo does not say.
pub const DEFAULT_HUNG_AFTER: Duration = Duration::from_mins(5);

crate::words! {
    /// What a further attempt at an item starts from.
    pub enum Resume as "resume mode" {
        /// The target branch, as the first did.
        Clean => "clean",
        /// Where the attempt before it stood, with what that had not committed.
        Wip => "wip",
        /// The commits of the attempt before it.
        Branch => "branch",
    }
}

crate::words! {
    /// What becomes of an item of which a worker says that there is nothing to do.
    pub enum NothingToDo as "way with nothing to do" {
        /// It rests until a person decides.
        Block => "block",
        /// It is done, unless it has acceptance criteria.
        Done => "done",
    }
}

crate::words! {
    /// Where the items go that workers file.
    pub enum Filing as "way with filed items" {
        /// They wait for a person.
        Inbox => "inbox",
        /// They are given out like any other.
        Ready => "ready",
    }
}

crate::words! {
    /// What is known of pushes to the upstream's branch.
    pub enum Pushes as "knowledge of pushes" {
        /// Nothing: a dry push says nothing of protected branches and hooks.
        Untried => "untried",
        /// A branch of our own was taken, and its removal.
        Probed => "probed",
        /// One was taken.
        Taken => "taken",
    }
}

/// The intent to bring the upstream's branch from one commit to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamPush {
    /// None: the upstream had no such branch.
    pub from: Option<CommitId>,
    pub to: CommitId,
}

/// A rewrite of the upstream's branch, by force and outside of the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRewrite {
    /// Where it was seen last.
    pub was: CommitId,
    /// Where it is, which does not hold the former.
    pub now: CommitId,
}

crate::words! {
    /// How to go on after the upstream's branch was rewritten.
    pub enum UpstreamChoice as "way to go on" {
        /// Its history counts: our branch moves to where it is.
        Follow => "follow",
        /// Ours counts: the upstream's branch moves back.
        Restore => "restore",
    }
}

/// Why the upstream lacks what has landed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTrouble {
    /// What git and the upstream say, without their noise.
    pub why: String,
    /// When that was said first.
    pub since: Timestamp,
}

const fn default_resume() -> Resume {
    Resume::Clean
}

const fn default_pushes() -> Pushes {
    Pushes::Untried
}

const fn default_nothing_to_do() -> NothingToDo {
    NothingToDo::Block
}

const fn default_filing() -> Filing {
    Filing::Inbox
}

const fn default_max_duration() -> Duration {
    DEFAULT_MAX_DURATION
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
const fn default_hung_after() -> Option<Duration> {
    Some(DEFAULT_HUNG_AFTER)
}

/// A git repository under management.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repo {
    pub name: RepoName,
    /// The upstream, fetched from and pushed to; none when the coordinator's copy is the only one.
    pub url: Option<RepoAddress>,
    /// The target branch, without `refs/heads/`.
    pub branch: String,
    /// The command line of each role, for items that bring none.
    pub run: BTreeMap<Role, String>,
    /// The runtime of each role; `shell` when absent.
    pub runtimes: BTreeMap<Role, Runtime>,
    /// Gates for a target branch whose `sprint.toml` names none.
    pub gates: Vec<Gate>,
    pub max_attempts: u32,
    /// The most workers of a role at one time; no limit when absent.
    pub limits: BTreeMap<Role, u32>,
    /// Why the merge queue of this repo stands still, when it does.
    pub halted: Option<String>,
    /// Why nothing lands, while gates go on.
    #[serde(default)]
    pub frozen: Option<String>,
    #[serde(default = "default_resume")]
    pub resume: Resume,
    #[serde(default = "default_nothing_to_do")]
    pub nothing_to_do: NothingToDo,
    #[serde(default = "default_filing")]
    pub filing: Filing,
    #[serde(default = "default_pushes")]
    pub pushes: Pushes,
    /// How landings are committed.
    #[serde(default)]
    pub committing: Committing,
    /// How long a worker on an item may run.
    #[serde(with = "duration_text", default = "default_max_duration")]
    pub max_duration: Duration,
    /// For how long a worker on an item may neither print nor compute; no limit when none.
    #[serde(with = "duration_text::optional", default = "default_hung_after")]
    pub hung_after: Option<Duration>,
    /// The push to the upstream that is under way, or that a crash has interrupted.
    #[serde(default)]
    pub pushing: Option<UpstreamPush>,
    /// Why the last push failed; none once one has succeeded.
    #[serde(default)]
    pub upstream_trouble: Option<UpstreamTrouble>,
    /// The rewrite that a person has to decide on; the merge queue is halted for it.
    #[serde(default)]
    pub upstream_rewrite: Option<UpstreamRewrite>,
    /// The tip whose configuration cannot be read; the merge queue is halted for that, and goes on by itself once it can.
    #[serde(default)]
    pub broken_config: Option<CommitId>,
    /// Where the branch was when it followed a rewritten upstream, the newest last: workers' changes that contain what
    /// was removed then do not land.
    #[serde(default)]
    pub given_up: Vec<CommitId>,
    pub created_at: Timestamp,
}

crate::noun!(Repo, "repo", "name", "List the repos, or add one.");

impl EventKind {
    pub const REPO_ADDED: Self = Self::new("repo_added");
    pub const REPO_CHANGED: Self = Self::new("repo_changed");
    pub const REPO_REMOVED: Self = Self::new("repo_removed");
    pub const REPO_HALTED: Self = Self::new("repo_halted");
    pub const REPO_FROZEN: Self = Self::new("repo_frozen");
    pub const REPO_RESUMED: Self = Self::new("repo_resumed");
    pub const REPO_SYNCED: Self = Self::new("repo_synced");
    pub const REPO_PUSHING: Self = Self::new("repo_pushing");
    pub const REPO_PUSHED: Self = Self::new("repo_pushed");
    pub const REPO_PUSH_FAILED: Self = Self::new("repo_push_failed");
    pub const REPO_UPSTREAM_REWRITTEN: Self = Self::new("repo_upstream_rewritten");
    pub const REPO_TIP_GIVEN_UP: Self = Self::new("repo_tip_given_up");
    pub const REPO_UPSTREAM_CHOSEN: Self = Self::new("repo_upstream_chosen");
    pub const REPO_PUSH_LOST: Self = Self::new("repo_push_lost");
}

impl Repo {
    /// The ref that the merge queue moves.
    pub fn branch_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// Whether it says what a role runs.
    pub fn staffs(&self, role: Role) -> bool {
        self.run.contains_key(&role) || self.runtimes.contains_key(&role)
    }
}
