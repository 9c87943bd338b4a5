use super::*;
use crate::change::Candidate;
use crate::ids::{Attempt, ChangeId, CommitId, RepoName, TreeId};
use crate::item::{ItemKind, Lease, Priority};
use crate::outpost::OutpostState;
use crate::repo::DEFAULT_MAX_ATTEMPTS;
use crate::time::Timestamp;
use crate::worker::{Role, WorkerState};

fn commit() -> CommitId {
    CommitId::new("1".repeat(40)).expect("a commit")
}

fn repo() -> RepoName {
    RepoName::new("web").expect("a name")
}

fn lease(worker: u64) -> Lease {
    Lease { worker: WorkerId::new(worker), outpost: "a".parse().expect("a name") }
}

fn item(id: u64, stage: Stage) -> Item {
    Item {
        id: ItemId::new(id),
        repo: repo(),
        kind: ItemKind::Task,
        title: String::new(),
        description: String::new(),
        acceptance: vec![],
        priority: Priority::Medium,
        labels: BTreeSet::new(),
        requires: BTreeMap::new(),
        parent: None,
        needs: BTreeSet::new(),
        run: None,
        stage,
        attempt: Attempt::new(1),
        failures: 0,
        losses: 0,
        not_before: None,
        feedback: vec![],
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}

fn worker(id: u64, item: u64, state: WorkerState) -> Worker {
    Worker {
        id: WorkerId::new(id),
        repo: repo(),
        item: ItemId::new(item),
        change: None,
        attempt: Attempt::new(1),
        role: Role::Developer,
        outpost: "a".parse().expect("a name"),
        state,
        base: commit(),
        stop_reason: None,
        terminal: None,
        assigned_at: Timestamp::default(),
        started_at: None,
        ended_at: None,
        report_seq: 0,
        log_bytes: None,
    }
}

fn change(id: u64, item: u64, state: ChangeState) -> Change {
    Change {
        id: ChangeId::new(id),
        repo: repo(),
        item: ItemId::new(item),
        attempt: Attempt::new(1),
        head: commit(),
        state,
        losses: 0,
        not_before: None,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}

fn candidate() -> Candidate {
    let tree = TreeId::new("2".repeat(40)).expect("a tree");
    Candidate { commit: commit(), tree, base: commit(), gates: vec![] }
}

/// One item at work, one being gated, one done.
fn sound() -> Record {
    let mut gate = worker(2, 2, WorkerState::Running);
    gate.change = Some(ChangeId::new(1));
    Record {
        repos: vec![Repo {
            name: repo(),
            url: None,
            branch: "main".to_owned(),
            run: BTreeMap::new(),
            runtimes: BTreeMap::new(),
            gates: vec![],
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            limits: BTreeMap::new(),
            halted: None,
            created_at: Timestamp::default(),
        }],
        items: vec![
            item(1, Stage::InProgress { lease: lease(1) }),
            item(2, Stage::Merging { change: ChangeId::new(1) }),
            item(3, Stage::Done { commit: Some(commit()) }),
        ],
        workers: vec![worker(1, 1, WorkerState::Running), gate],
        changes: vec![
            change(1, 2, ChangeState::Gating { candidate: candidate(), worker: Some(WorkerId::new(2)) }),
            change(2, 3, ChangeState::Landed { candidate: candidate() }),
        ],
        outposts: vec![Outpost {
            name: "a".parse().expect("a name"),
            key: None,
            labels: BTreeMap::new(),
            max_workers: 2,
            state: OutpostState::Online,
            version: String::new(),
            draining: false,
            joined_at: Timestamp::default(),
            last_seen: Timestamp::default(),
        }],
        events: 9,
        last_event: 9,
        landings: BTreeMap::from([(ItemId::new(3), 1)]),
    }
}

#[test]
fn a_sound_record_has_nothing_to_say() {
    assert_eq!(violations(&sound()), Vec::<String>::new());
    assert_eq!(violations(&Record::default()), Vec::<String>::new());
}

/// Makes a sound record unsound in one way.
type Spoiler = Box<dyn Fn(&mut Record)>;

#[test]
fn each_way_to_be_unsound_is_found() {
    let spoilers: Vec<(&str, Spoiler)> = vec![
        ("some are missing", Box::new(|record| record.events = 8)),
        ("landed 2 times", Box::new(|record| *record.landings.entry(ItemId::new(3)).or_default() = 2)),
        ("names item 9", Box::new(|record| record.items[0].needs = BTreeSet::from([ItemId::new(9)]))),
        ("repo \"web\", which is not there", Box::new(|record| record.repos.clear())),
        (
            "leased to worker 1, which is lost",
            Box::new(|record| {
                record.workers[0].state = WorkerState::Lost { reason: String::new() };
            }),
        ),
        (
            "leased to worker 1, which is not there",
            Box::new(|record| record.workers.retain(|worker| worker.id.get() == 2)),
        ),
        ("which works on something else", Box::new(|record| record.workers[0].attempt = Attempt::new(2))),
        ("which is ready and not leased to it", Box::new(|record| record.items[0].stage = Stage::Ready)),
        (
            "two workers work on item 1 at once",
            Box::new(|record| record.workers.push(worker(3, 1, WorkerState::Running))),
        ),
        ("outpost \"a\", which is not there", Box::new(|record| record.outposts.clear())),
        (
            "waits for change 1, which is failed",
            Box::new(|record| {
                record.changes[0].state = ChangeState::Failed { reason: String::new() };
            }),
        ),
        (
            "waits for change 1, which is another attempt's",
            Box::new(|record| record.items[1].attempt = Attempt::new(2)),
        ),
        ("is in the queue, and its item 2 is ready", Box::new(|record| record.items[1].stage = Stage::Ready)),
        ("has landed, and its item 3 is ready", Box::new(|record| record.items[2].stage = Stage::Ready)),
        (
            "waits for worker 2, which does not gate it",
            Box::new(|record| {
                record.workers[1].state = WorkerState::Done { exit_code: Some(0) };
            }),
        ),
        ("of item 3, which is not there", Box::new(|record| record.items.retain(|item| item.id.get() != 3))),
    ];
    for (expected, spoil) in spoilers {
        let mut record = sound();
        spoil(&mut record);
        let found = violations(&record);
        assert!(found.iter().any(|line| line.contains(expected)), "{expected:?} is not among {found:?}");
    }
}

#[test]
fn a_worker_that_was_told_to_end_may_outlive_its_lease() {
    let mut record = sound();
    record.items[0].stage = Stage::Cancelled { reason: String::new() };
    record.workers[0].stop_reason = Some("its item was cancelled".to_owned());
    assert_eq!(violations(&record), Vec::<String>::new());
}
