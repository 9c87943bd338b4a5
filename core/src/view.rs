//! The JSON that scripts rely on: flat, stable, `snake_case`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::change::{Change, ChangeStateName};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, RepoName, TokenId, WorkerId};
use crate::item::{Feedback, Item, ItemKind, Priority, Stage, StageName};
use crate::outpost::{Load, Outpost, OutpostState};
use crate::time::Timestamp;
use crate::token::TokenKind;
use crate::worker::{Role, Worker, WorkerStateName};

/// An item as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct ItemView {
    pub id: ItemId,
    pub repo: RepoName,
    pub kind: ItemKind,
    pub title: String,
    pub stage: StageName,
    pub priority: Priority,
    pub parent: Option<ItemId>,
    pub needs: BTreeSet<ItemId>,
    pub attempt: Attempt,
    pub worker: Option<WorkerId>,
    pub reason: String,
    pub change: Option<ChangeId>,
    pub commit: Option<CommitId>,
    pub failures: u32,
    pub description: String,
    pub acceptance: Vec<String>,
    pub labels: BTreeSet<String>,
    pub requires: BTreeMap<String, String>,
    pub run: Option<String>,
    pub feedback: Vec<Feedback>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        let (change, commit) = match &item.stage {
            Stage::Merging { change } => (Some(*change), None),
            Stage::Done { commit } => (None, commit.clone()),
            Stage::Inbox
            | Stage::Planning
            | Stage::Ready
            | Stage::InProgress { .. }
            | Stage::InReview
            | Stage::InTests
            | Stage::InDocs
            | Stage::Blocked { .. }
            | Stage::Cancelled { .. } => (None, None),
        };
        let (worker, reason, stage) = (item.worker(), item.reason().to_owned(), item.stage.name());
        Self {
            id: item.id,
            repo: item.repo,
            kind: item.kind,
            title: item.title,
            stage,
            priority: item.priority,
            parent: item.parent,
            needs: item.needs,
            attempt: item.attempt,
            worker,
            reason,
            change,
            commit,
            failures: item.failures,
            description: item.description,
            acceptance: item.acceptance,
            labels: item.labels,
            requires: item.requires,
            run: item.run,
            feedback: item.feedback,
            created_at: item.created_at,
            updated_at: item.updated_at,
        }
    }
}

/// A worker as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerView {
    pub id: WorkerId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub role: Role,
    pub outpost: OutpostName,
    pub state: WorkerStateName,
    pub exit_code: Option<i32>,
    pub reason: String,
    pub repo: RepoName,
    pub change: Option<ChangeId>,
    pub base: CommitId,
    pub assigned_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        let (state, exit_code, reason) = (worker.state.name(), worker.exit_code(), worker.reason().to_owned());
        Self {
            id: worker.id,
            item: worker.item,
            attempt: worker.attempt,
            role: worker.role,
            outpost: worker.outpost,
            state,
            exit_code,
            reason,
            repo: worker.repo,
            change: worker.change,
            base: worker.base,
            assigned_at: worker.assigned_at,
            started_at: worker.started_at,
            ended_at: worker.ended_at,
        }
    }
}

/// A change as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeView {
    pub id: ChangeId,
    pub item: ItemId,
    pub attempt: Attempt,
    pub state: ChangeStateName,
    /// The commit that is gated, landing or landed.
    pub candidate: Option<CommitId>,
    pub reason: String,
    pub repo: RepoName,
    pub head: CommitId,
    pub base: Option<CommitId>,
    pub gates: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        let candidate = change.candidate();
        Self {
            candidate: candidate.map(|candidate| candidate.commit.clone()),
            base: candidate.map(|candidate| candidate.base.clone()),
            gates: candidate
                .map(|candidate| candidate.gates.iter().map(|gate| gate.name.clone()).collect())
                .unwrap_or_default(),
            state: change.state.name(),
            reason: change.reason(),
            id: change.id,
            item: change.item,
            attempt: change.attempt,
            repo: change.repo,
            head: change.head,
            created_at: change.created_at,
            updated_at: change.updated_at,
        }
    }
}

/// An outpost with what runs on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutpostView {
    pub name: OutpostName,
    pub state: OutpostState,
    pub max_workers: u32,
    pub active_workers: u32,
    pub labels: BTreeMap<String, String>,
    pub last_seen: Timestamp,
    pub version: String,
    pub load: Option<Load>,
}

impl OutpostView {
    pub fn new(outpost: Outpost, active_workers: u32, load: Option<Load>) -> Self {
        Self {
            name: outpost.name,
            state: outpost.state,
            max_workers: outpost.max_workers,
            active_workers,
            labels: outpost.labels,
            last_seen: outpost.last_seen,
            version: outpost.version,
            load,
        }
    }
}

/// A token as people see it: without anything that its holder must keep secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    pub id: TokenId,
    pub kind: TokenKind,
    /// The person; empty for outposts.
    pub name: String,
    pub uses: u32,
    pub used: u32,
    pub name_prefix: String,
    pub created_at: Timestamp,
    pub created_by: String,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// `secret` or `certificate`.
    pub proof: String,
}

impl TokenView {
    /// One word for where it stands.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.revoked_at.is_some() {
            "revoked"
        } else if self.expires_at <= now {
            "expired"
        } else if self.kind == TokenKind::Outpost && self.used >= self.uses {
            "used up"
        } else {
            "valid"
        }
    }
}
