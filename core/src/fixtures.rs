//! An ordinary entity of each kind, for tests: they change the fields that they are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::assignment::{Assignment, Command};
use crate::change::{Candidate, Change, ChangeState};
use crate::committing::Committing;
use crate::conflict::Conflict;
use crate::gates::{Gate, GateOutcome, GateVerdict};
use crate::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName, RepoName, TreeId, TrialId, WorkerId};
use crate::item::{Item, ItemKind, Lease, Priority, Stage};
use crate::job::{AttemptJob, Job, Role};
use crate::note::NoteCount;
use crate::outpost::{Outpost, OutpostState};
use crate::recipe::Recipe;
use crate::repo::{
    DEFAULT_HUNG_AFTER, DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_DURATION, Filing, NothingToDo, Pushes, Repo, Resume,
};
use crate::runtime::Runtime;
use crate::time::Timestamp;
use crate::trial::{Member, Purpose, Trial};
use crate::worker::{Worker, WorkerState};

/// # Panics
/// `digit` is not one hexadecimal digit.
pub fn commit(digit: &str) -> CommitId {
    CommitId::new(digit.repeat(40)).expect("forty digits")
}

/// # Panics
/// `digit` is not one hexadecimal digit.
pub fn tree(digit: &str) -> TreeId {
    TreeId::new(digit.repeat(40)).expect("forty digits")
}

pub fn repo_name() -> RepoName {
    RepoName::new("web").expect("a name")
}

pub fn outpost_name() -> OutpostName {
    OutpostName::new("here").expect("a name")
}

pub fn repo() -> Repo {
    Repo {
        name: repo_name(),
        url: None,
        branch: "main".to_owned(),
        run: BTreeMap::new(),
        runtimes: BTreeMap::new(),
        gates: vec![],
        max_attempts: DEFAULT_MAX_ATTEMPTS,
        limits: BTreeMap::new(),
        halted: None,
        frozen: None,
        resume: Resume::Clean,
        nothing_to_do: NothingToDo::Block,
        filing: Filing::Inbox,
        pushes: Pushes::Taken,
        committing: Committing::default(),
        max_duration: DEFAULT_MAX_DURATION,
        hung_after: Some(DEFAULT_HUNG_AFTER),
        pushing: None,
        upstream_trouble: None,
        upstream_rewrite: None,
        broken_config: None,
        given_up: vec![],
        created_at: Timestamp::default(),
    }
}

pub fn outpost() -> Outpost {
    Outpost {
        name: outpost_name(),
        key: None,
        labels: BTreeMap::new(),
        max_workers: 2,
        state: OutpostState::Online,
        version: String::new(),
        draining: false,
        paused: None,
        quick_failures: 0,
        suspicion: None,
        disconnect_grace: None,
        joined_at: Timestamp::default(),
        last_seen: Timestamp::default(),
    }
}

/// Ready, and tried so many times.
pub fn item(id: u64, attempt: u32) -> Item {
    Item {
        id: ItemId::new(id),
        repo: repo_name(),
        kind: ItemKind::Task,
        title: "a title".to_owned(),
        description: String::new(),
        acceptance: vec![],
        priority: Priority::Medium,
        labels: BTreeSet::new(),
        requires: BTreeMap::new(),
        parent: None,
        needs: BTreeSet::new(),
        run: None,
        stage: Stage::Ready,
        attempt: Attempt::new(attempt),
        failures: 0,
        losses: 0,
        avoid: vec![],
        not_before: None,
        conflict: None,
        discovered_from: None,
        nothing_to_do: false,
        feedback: vec![],
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        stage_since: Some(Timestamp::default()),
    }
}

pub fn lease(worker: u64) -> Lease {
    Lease { worker: WorkerId::new(worker), outpost: outpost_name() }
}

/// An item's first attempt.
pub fn attempt_job(item: u64) -> Job {
    Job::Attempt(AttemptJob { item: ItemId::new(item), attempt: Attempt::new(1), role: Role::Developer })
}

/// Of an item's first attempt.
pub fn worker(id: u64, item: u64, state: WorkerState) -> Worker {
    Worker {
        id: WorkerId::new(id),
        repo: repo_name(),
        job: attempt_job(item),
        outpost: outpost_name(),
        state,
        base: commit("a"),
        resumed: None,
        stop_reason: None,
        terminal: None,
        assigned_at: Timestamp::default(),
        started_at: None,
        ended_at: None,
        report_seq: 0,
        log_bytes: None,
        agent: None,
        progress: None,
        notes: NoteCount::default(),
    }
}

/// Of an item's first attempt.
pub fn change(id: u64, item: u64, state: ChangeState) -> Change {
    Change {
        id: ChangeId::new(id),
        repo: repo_name(),
        item: ItemId::new(item),
        attempt: Attempt::new(1),
        head: commit("a"),
        role: None,
        source: None,
        own: false,
        direct: None,
        left_out: None,
        protection: None,
        state,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}

/// Of an item's first attempt, with item 9.
pub fn conflict(change: ChangeId) -> Conflict {
    let (attempt, head) = (Attempt::new(1), commit("a"));
    Conflict { change, attempt, head, paths: vec!["a.txt".to_owned()], others: vec![ItemId::new(9)] }
}

/// Without gates.
pub fn candidate() -> Candidate {
    Candidate { commit: commit("c"), tree: tree("d"), base: commit("b"), gates: vec![], new_gates: vec![] }
}

/// Gates the changes with these numbers, each of the item beside it, with one gate named "test".
pub fn trial(id: u64, members: &[(u64, u64)]) -> Trial {
    let member = |(change, item): &(u64, u64)| Member {
        change: ChangeId::new(*change),
        item: ItemId::new(*item),
        attempt: Attempt::new(1),
        head: commit("a"),
    };
    let candidate = Candidate { gates: vec![gate("test")], ..candidate() };
    let members = members.iter().map(member).collect();
    Trial::begin(TrialId::new(id), repo_name(), Purpose::Queue, members, candidate, Timestamp::default())
}

/// Without reports.
pub fn verdict(gate: &Gate, outcome: GateOutcome) -> GateVerdict {
    let reason = match outcome {
        GateOutcome::Passed => String::new(),
        GateOutcome::Failed => format!("gate {:?} failed with exit code 1", gate.name),
        GateOutcome::TimedOut => format!("gate {:?} timed out after 30m", gate.name),
        GateOutcome::NotFound => format!("gate {:?}: command not found", gate.name),
    };
    let metrics = BTreeMap::new();
    GateVerdict { gate: gate.name.clone(), outcome, reason, metrics, findings: vec![], duration_ms: 1 }
}

pub fn gate(name: &str) -> Gate {
    Gate::new(name, "true")
}

/// A worker on an item that runs a command line.
pub fn assignment(worker: u64, item: u64, run: &str) -> Assignment {
    Assignment {
        worker: WorkerId::new(worker),
        repo: repo_name(),
        job: attempt_job(item),
        change: None,
        base: commit("a"),
        base_ref: "refs/heads/main".to_owned(),
        target: None,
        changes: vec![],
        recipe: Recipe::default(),
        title: "a title".to_owned(),
        prompt: String::new(),
        feedback: vec![],
        steps: vec![Command {
            name: "developer".to_owned(),
            runtime: Runtime::shell(),
            run: run.to_owned(),
            timeout: DEFAULT_MAX_DURATION,
        }],
        gates: vec![],
        resumed: None,
        hung_after: None,
        secrets: vec![],
    }
}
