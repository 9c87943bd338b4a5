use super::*;
use crate::fixtures::{self, candidate, change, commit, lease, worker};
use crate::ids::{Attempt, ChangeId, TrialId};
use crate::job::{GateJob, Job};
use crate::trial::RunState;
use crate::worker::WorkerState;

fn item(id: u64, stage: Stage) -> Item {
    Item { stage, ..fixtures::item(id, 1) }
}

/// One item at work, one being gated, one done.
fn sound() -> Record {
    let mut gate = worker(2, 2, WorkerState::Running);
    gate.job = Job::Gate(GateJob { trial: TrialId::new(1), gate: "test".to_owned() });
    let mut trial = fixtures::trial(1, &[(1, 2)]);
    trial.runs[0].state = RunState::Running { worker: WorkerId::new(2) };
    Record {
        repos: vec![fixtures::repo()],
        items: vec![
            item(1, Stage::InProgress { lease: lease(1) }),
            item(2, Stage::Merging { change: ChangeId::new(1), landed: None }),
            item(3, Stage::Done { commit: Some(commit("a")) }),
        ],
        workers: vec![worker(1, 1, WorkerState::Running), gate],
        changes: vec![change(1, 2, ChangeState::Queued), change(2, 3, ChangeState::Landed { candidate: candidate() })],
        trials: vec![trial],
        outposts: vec![fixtures::outpost()],
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
        ("which works on something else", Box::new(|record| record.workers[0].job = fixtures::attempt_job(9))),
        ("which is ready and not leased to it", Box::new(|record| record.items[0].stage = Stage::Ready)),
        (
            "two workers work on item 1 at once",
            Box::new(|record| record.workers.push(worker(3, 1, WorkerState::Running))),
        ),
        ("outpost \"here\", which is not there", Box::new(|record| record.outposts.clear())),
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
        (
            "has landed with change 1, which is queued",
            Box::new(|record| {
                record.items[1].stage = Stage::Merging { change: ChangeId::new(1), landed: Some(commit("a")) };
            }),
        ),
        ("is in the queue, and its item 2 is ready", Box::new(|record| record.items[1].stage = Stage::Ready)),
        ("has landed, and its item 3 is ready", Box::new(|record| record.items[2].stage = Stage::Ready)),
        (
            "waits for worker 2, which does not run its gate",
            Box::new(|record| {
                record.workers[1].state = WorkerState::Done { exit_code: Some(0) };
            }),
        ),
        ("which does not wait for it", Box::new(|record| record.trials.clear())),
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
