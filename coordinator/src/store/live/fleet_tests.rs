//! The slots that are counted as workers come and go, compared with the workers themselves.

use proptest::prelude::*;
use sprint_core::fixtures;
use sprint_core::ids::{RepoName, TrialId};
use sprint_core::job::{GateJob, Job};
use sprint_core::worker::WorkerState;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a commit says of the fleet.
#[derive(Debug, Clone)]
enum Change {
    Outpost(usize, bool),
    Worker(Box<Worker>),
}

fn any_change() -> impl Strategy<Value = Change> {
    let outpost = (0..NAMES.len(), any::<bool>()).prop_map(|(which, there)| Change::Outpost(which, there));
    let worker = (1..8_u64, 0..2_usize, any::<bool>(), any::<bool>()).prop_map(|(id, repo, gate, live)| {
        let gate = gate.then(|| Job::Gate(GateJob { trial: TrialId::new(id), gate: "test".to_owned() }));
        let state = if live { WorkerState::Running } else { WorkerState::Lost { reason: "why".to_owned() } };
        Change::Worker(Box::new(Worker {
            outpost: name(usize::try_from(id).unwrap_or(0) % NAMES.len()),
            repo: RepoName::new(["demo", "other"][repo]).expect("a name"),
            job: gate.unwrap_or_else(|| fixtures::attempt_job(id)),
            ..fixtures::worker(id, id, state)
        }))
    });
    prop_oneof![1 => outpost, 3 => worker]
}

fn name(which: usize) -> OutpostName {
    OutpostName::new(NAMES[which]).expect("a name")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn slots_that_were_counted_one_by_one_are_those_of_the_live_workers(
        changes in prop::collection::vec(any_change(), 1..40),
    ) {
        let mut fleet = Fleet::default();
        let (mut workers, mut outposts) = (BTreeMap::new(), BTreeMap::new());
        for change in changes {
            match change {
                Change::Outpost(which, there) => {
                    let outpost = there.then(|| Arc::new(Outpost { name: name(which), ..fixtures::outpost() }));
                    fleet.update_outpost(&name(which), outpost.as_ref());
                    outposts.insert(name(which), there);
                }
                Change::Worker(worker) => {
                    fleet.update_worker(&Arc::new(Worker::clone(&worker)));
                    workers.insert(worker.id, worker);
                }
            }
            let of = |wanted: &dyn Fn(&Worker) -> bool| {
                let mut in_use = SlotsInUse::default();
                for worker in workers.values().filter(|worker| worker.state.is_live() && wanted(worker)) {
                    in_use.occupy(&worker.repo, worker.job.role());
                }
                in_use
            };
            prop_assert_eq!(fleet.in_use(), &of(&|_| true));
            let there = outposts.iter().filter(|(_, there)| **there).map(|(name, _)| name);
            let expected: Vec<_> = there.map(|name| (name.clone(), of(&|worker| worker.outpost == *name))).collect();
            let known = fleet.capacities();
            let known: Vec<_> =
                known.map(|Capacity { outpost, in_use }| (outpost.name.clone(), SlotsInUse::clone(in_use))).collect();
            prop_assert_eq!(known, expected);
        }
    }
}
