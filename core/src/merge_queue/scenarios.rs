//! The queue's steps in named situations.

use std::collections::BTreeSet;

use super::model::{Done, Model, World};
use super::{Action, Fit, Landing, QueueMode, Snapshot, TrialFacts, TrialProgress, plan};
use crate::ids::{ChangeId, TrialId};

fn id(number: u64) -> ChangeId {
    ChangeId::new(number)
}

fn ids(numbers: &[u64]) -> Vec<ChangeId> {
    numbers.iter().copied().map(ChangeId::new).collect()
}

/// A world in which each fact is set.
#[derive(Debug, Default, Clone)]
struct Told {
    bad: BTreeSet<u64>,
    overlaps: BTreeSet<(u64, u64)>,
    /// Good by themselves, not together.
    clashes: BTreeSet<(u64, u64)>,
    conflicts: BTreeSet<(u64, u64)>,
    everything_overlaps: bool,
}

impl Told {
    fn bad(numbers: &[u64]) -> Self {
        Self { bad: numbers.iter().copied().collect(), ..Self::default() }
    }

    fn has(pairs: &BTreeSet<(u64, u64)>, present: &[ChangeId]) -> bool {
        pairs.iter().any(|(one, other)| present.contains(&id(*one)) && present.contains(&id(*other)))
    }

    fn is_good(&self, present: &[ChangeId]) -> bool {
        !present.iter().any(|change| self.bad.contains(&change.get())) && !Self::has(&self.clashes, present)
    }
}

impl World for Told {
    fn merges(&self, landed: &[ChangeId], members: &[ChangeId]) -> bool {
        !Self::has(&self.conflicts, &[landed, members].concat())
    }

    fn overlap(&self, one: ChangeId, other: ChangeId) -> bool {
        let pair = (one.get().min(other.get()), one.get().max(other.get()));
        self.everything_overlaps
            || [&self.overlaps, &self.clashes, &self.conflicts].iter().any(|set| set.contains(&pair))
    }
}

/// A queue in a world, with what has happened.
struct Scene {
    world: Told,
    model: Model,
    done: Vec<Done>,
}

impl Scene {
    fn new(slots: usize, world: Told) -> Self {
        Self { world, model: Model::new(slots), done: Vec::new() }
    }

    fn arrive(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.model.arrive(&self.world, id(*number), 0.9, Vec::new());
        }
        self.settle();
    }

    fn settle(&mut self) {
        let done = self.model.settle(&self.world);
        self.done.extend(done);
    }

    /// The running trial of just these changes.
    fn trial(&self, members: &[u64]) -> TrialId {
        let members = ids(members);
        let running = |id: &TrialId| self.model.trial(*id).members == members;
        let all = || self.model.running().iter().map(|id| self.model.trial(*id).members.clone()).collect::<Vec<_>>();
        self.model
            .running()
            .into_iter()
            .find(running)
            .unwrap_or_else(|| panic!("{members:?} runs not, but {:?}", all()))
    }

    fn runs(&self, members: &[u64]) -> bool {
        let members = ids(members);
        self.model.running().iter().any(|id| self.model.trial(*id).members == members)
    }

    fn finish(&mut self, trial: TrialId, passed: bool) {
        self.model.finish(trial, passed);
        self.settle();
    }

    /// Ends the oldest gate with its true result; says whether there was one.
    fn step(&mut self) -> bool {
        let Some(trial) = self.model.running().first().copied() else { return false };
        self.finish_truly(trial);
        true
    }

    fn finish_truly(&mut self, trial: TrialId) {
        let passed = self.truth(trial);
        self.finish(trial, passed);
    }

    fn truth(&self, trial: TrialId) -> bool {
        let tree = &self.model.trees[&trial];
        self.world.is_good(&[&self.model.landed[..tree.base], &tree.members].concat())
    }

    fn drain(&mut self) -> usize {
        (0..100_000).take_while(|_| self.step()).count()
    }

    fn landed(&self) -> BTreeSet<u64> {
        self.model.landed.iter().map(|id| id.get()).collect()
    }

    fn left(&self) -> Vec<u64> {
        self.model.left.iter().map(|id| id.get()).collect()
    }

    fn fit(&self, trial: TrialId) -> Fit {
        self.model.trial(trial).fit
    }
}

fn set(numbers: &[u64]) -> BTreeSet<u64> {
    numbers.iter().copied().collect()
}

#[test]
fn failure_at_head_sends_back_the_head_alone() {
    let mut scene = Scene::new(8, Told::bad(&[1]));
    scene.arrive(&[1, 2, 3, 4]);
    scene.drain();
    assert_eq!((scene.landed(), scene.left()), (set(&[2, 3, 4]), vec![1]));
}

#[test]
fn failure_in_the_middle_sends_back_the_middle_alone() {
    for everything_overlaps in [false, true] {
        for slots in [1, 2, 3, 8] {
            let mut scene = Scene::new(slots, Told { everything_overlaps, ..Told::bad(&[3]) });
            scene.arrive(&[1, 2, 3, 4, 5]);
            scene.drain();
            assert_eq!((scene.landed(), scene.left()), (set(&[1, 2, 4, 5]), vec![3]), "with {slots} slots");
        }
    }
}

#[test]
fn innocent_changes_behind_two_failures_land() {
    for slots in [1, 2, 4, 16] {
        let mut scene = Scene::new(slots, Told { everything_overlaps: true, ..Told::bad(&[2, 4]) });
        scene.arrive(&[1, 2, 3, 4, 5, 6]);
        scene.drain();
        assert_eq!(scene.landed(), set(&[1, 3, 5, 6]), "with {slots} slots");
        assert_eq!(scene.left().into_iter().collect::<BTreeSet<_>>(), set(&[2, 4]));
    }
}

#[test]
fn trial_that_failed_with_several_unknown_changes_rejects_none() {
    let mut scene = Scene::new(1, Told { everything_overlaps: true, ..Told::bad(&[1]) });
    scene.arrive(&[1]);
    scene.arrive(&[2, 3]);
    let alone = scene.trial(&[1]);
    scene.finish(alone, false);
    assert!(scene.left().is_empty(), "no change is rejected for one failure");
    while scene.left().is_empty() {
        assert!(scene.step());
    }
    assert_eq!(scene.left(), [1]);
}

#[test]
fn disjoint_changes_never_wait() {
    let mut scene = Scene::new(6, Told::default());
    scene.arrive(&[1, 2, 3]);
    let slow = scene.trial(&[1]);
    let together = scene.trial(&[1, 2, 3]);
    scene.finish_truly(together);
    assert!(scene.landed().contains(&2), "2 lands while the gate of 1 alone has not ended");
    assert!(!scene.model.is_running(slow), "and that gate is of no use any more");
}

#[test]
fn disjoint_change_lands_while_the_gate_of_a_doubted_one_runs() {
    let mut scene = Scene::new(8, Told::bad(&[1]));
    scene.arrive(&[1, 2]);
    let first = scene.trial(&[1]);
    scene.finish(first, false);
    let second = scene.trial(&[2]);
    scene.finish_truly(second);
    assert_eq!(scene.landed(), set(&[2]));
    assert!(scene.left().is_empty(), "1 is being confirmed");
}

#[test]
fn slots_shrink_and_grow() {
    let mut scene = Scene::new(6, Told::bad(&[2]));
    scene.arrive(&[1, 2, 3, 4, 5, 6]);
    let before = scene.model.running().len();
    assert_eq!(before, 6);
    scene.model.snapshot.slots = 1;
    scene.settle();
    assert_eq!(scene.model.running().len(), before, "what runs is not cancelled");
    while scene.model.running().len() > 1 {
        assert!(scene.step());
    }
    scene.model.snapshot.slots = 0;
    scene.step();
    assert!(scene.model.running().is_empty());
    scene.model.snapshot.slots = 8;
    scene.settle();
    scene.drain();
    assert_eq!((scene.landed(), scene.left()), (set(&[1, 3, 4, 5, 6]), vec![2]));
}

#[test]
fn dependent_change_follows_its_parent_out() {
    let mut scene = Scene::new(4, Told::bad(&[1]));
    scene.model.arrive(&scene.world, id(1), 0.9, Vec::new());
    scene.model.arrive(&scene.world, id(2), 0.9, ids(&[1]));
    scene.model.arrive(&scene.world, id(3), 0.9, ids(&[2]));
    scene.model.arrive(&scene.world, id(4), 0.9, Vec::new());
    scene.settle();
    scene.drain();
    assert_eq!(scene.landed(), set(&[4]));
    assert_eq!(scene.left(), [1, 2, 3], "the child of the child, too");
}

#[test]
fn dependent_change_lands_with_its_parent() {
    let mut scene = Scene::new(4, Told::default());
    scene.model.arrive(&scene.world, id(1), 0.9, Vec::new());
    scene.model.arrive(&scene.world, id(2), 0.9, ids(&[1]));
    scene.settle();
    assert!(!scene.runs(&[2]), "a tree with the child has the parent in it");
    let both = scene.trial(&[1, 2]);
    scene.finish_truly(both);
    assert_eq!(scene.landed(), set(&[1, 2]));
}

#[test]
fn unmergeable_is_never_gated() {
    let mut scene = Scene::new(8, Told { conflicts: [(1, 3)].into(), ..Told::default() });
    scene.arrive(&[1, 2, 3, 4]);
    let good = |scene: &Scene| {
        let both = ids(&[1, 3]);
        let mut running = scene.model.running().into_iter().map(|trial| scene.model.trial(trial).clone());
        running.all(|trial| !both.iter().all(|change| trial.members.contains(change)))
    };
    assert!(good(&scene));
    while scene.step() {
        assert!(good(&scene));
    }
    assert_eq!((scene.landed(), scene.left()), (set(&[1, 2, 4]), vec![3]), "the later one is sent back");
}

#[test]
fn priority_jump_keeps_valid_results() {
    let mut scene = Scene::new(4, Told::default());
    scene.arrive(&[1, 2]);
    let both = scene.trial(&[1, 2]);
    scene.model.arrive_urgent(&scene.world, id(9), 0.9);
    scene.settle();
    assert!(scene.model.is_running(both), "what runs is not thrown away");
    let all = scene.trial(&[9, 1, 2]);
    let urgent = scene.trial(&[9]);
    scene.finish_truly(urgent);
    assert_eq!(scene.landed(), set(&[9]));
    assert_eq!(scene.fit(all), Fit::Exact, "the gate of all three is now one of the other two on the new tip");
    scene.finish_truly(all);
    assert_eq!(scene.landed(), set(&[1, 2, 9]));
}

#[test]
fn freeze_during_a_landing_lets_gates_go_on() {
    let mut scene = Scene::new(2, Told::default());
    scene.arrive(&[1]);
    let first = scene.trial(&[1]);
    scene.model.snapshot.policy.pace = QueueMode::Frozen;
    scene.finish_truly(first);
    assert!(scene.landed().is_empty());
    scene.arrive(&[2]);
    let both = scene.trial(&[1, 2]);
    scene.finish_truly(both);
    assert!(scene.landed().is_empty());
    scene.model.snapshot.policy.pace = QueueMode::Open;
    scene.settle();
    assert_eq!(scene.landed(), set(&[1, 2]), "what passed meanwhile lands at once");
}

#[test]
fn paused_queue_does_nothing() {
    let mut scene = Scene::new(4, Told::bad(&[2]));
    scene.arrive(&[1]);
    let first = scene.trial(&[1]);
    scene.model.snapshot.policy.pace = QueueMode::Halted;
    scene.arrive(&[2]);
    scene.finish_truly(first);
    assert!(scene.landed().is_empty() && scene.model.running().is_empty());
}

#[test]
fn flaky_then_pass_rejects_no_change() {
    let mut scene = Scene::new(1, Told::default());
    scene.arrive(&[1]);
    let trial = scene.trial(&[1]);
    scene.finish(trial, false);
    assert_eq!(scene.model.trial(trial).state, TrialProgress::Confirming);
    scene.finish(trial, true);
    assert_eq!((scene.landed(), scene.left()), (set(&[1]), vec![]));
}

#[test]
fn semantic_clash_of_two_green_ones_ejects_the_later() {
    for slots in [1, 2, 8] {
        let mut scene = Scene::new(slots, Told { clashes: [(1, 2)].into(), ..Told::default() });
        scene.arrive(&[1, 2, 3]);
        scene.drain();
        assert_eq!((scene.landed(), scene.left()), (set(&[1, 3]), vec![2]), "with {slots} slots");
    }
}

#[test]
fn changes_land_one_by_one_where_history_is_linear() {
    let mut scene = Scene::new(8, Told { everything_overlaps: true, ..Told::bad(&[3]) });
    scene.model.snapshot.policy.together = false;
    scene.arrive(&[1, 2, 3, 4, 5]);
    scene.drain();
    assert_eq!((scene.landed(), scene.left()), (set(&[1, 2, 4, 5]), vec![3]));
    assert!(scene.done.iter().all(|done| !matches!(done, Done::Landed(members) if members.len() > 1)));
}

#[test]
fn change_that_can_land_neither_alone_nor_with_others_delays_no_other() {
    let mut scene = Scene::new(1, Told { everything_overlaps: true, ..Told::default() });
    scene.arrive(&[1, 2]);
    let mut snapshot = scene.model.snapshot.clone();
    let trial = |number, members: &[u64], state| TrialFacts {
        id: TrialId::new(number),
        members: ids(members),
        fit: Fit::Exact,
        state,
        green_base: true,
    };
    // It failed twice by itself, and passed with the one behind it: that one may be what it needs.
    snapshot.trials = vec![trial(1, &[1], TrialProgress::Failed), trial(2, &[1, 2], TrialProgress::Passed)];
    assert_eq!(plan(&snapshot).steps, [Action::Land { trial: TrialId::new(2) }]);
    // Where each lands by itself, it cannot.
    snapshot.policy.together = false;
    assert_eq!(plan(&snapshot).steps, [Action::Eject { change: id(1), trial: TrialId::new(1) }]);
}

#[test]
fn relaxed_landing_gates_the_union_afterwards() {
    let mut scene = Scene::new(6, Told::default());
    scene.model.snapshot.policy.landing = Landing::Relaxed;
    for number in [1, 2] {
        scene.model.arrive(&scene.world, id(number), 0.7, Vec::new());
    }
    scene.settle();
    let first = scene.trial(&[1]);
    let second = scene.trial(&[2]);
    scene.finish_truly(first);
    scene.finish_truly(second);
    assert_eq!(scene.landed(), set(&[1, 2]));
    assert!(!scene.model.snapshot.tip_is_gated);
    let union = scene.trial(&[]);
    scene.finish(union, true);
    assert!(scene.model.snapshot.tip_is_gated);
}

#[test]
fn no_change_is_rejected_on_a_red_tip() {
    let mut scene = Scene::new(4, Told::bad(&[7]));
    scene.model.move_by_hand(&scene.world, id(7));
    scene.arrive(&[1, 2]);
    scene.drain();
    assert!(scene.left().is_empty() && scene.landed() == set(&[7]));
    scene.world.bad.clear();
    scene.model.move_by_hand(&scene.world, id(8));
    scene.settle();
    scene.drain();
    assert_eq!((scene.landed(), scene.left()), (set(&[1, 2, 7, 8]), vec![]));
}

#[test]
fn backlog_of_a_thousand_changes_drains() {
    let bad: Vec<u64> = (1..=1000).filter(|number| number % 13 == 5).collect();
    let mut scene = Scene::new(16, Told::bad(&bad));
    let all: Vec<u64> = (1..=1000).collect();
    for number in &all {
        let overlaps = (1..*number).filter(|other| (other * 31 + number * 17) % 23 == 0);
        scene.world.overlaps.extend(overlaps.map(|other| (other, *number)));
    }
    for number in &all {
        scene.model.arrive(&scene.world, id(*number), 0.92, Vec::new());
    }
    scene.settle();
    let gates = scene.drain();
    assert_eq!(scene.left().into_iter().collect::<BTreeSet<_>>(), set(&bad));
    assert_eq!(scene.landed().len(), 1000 - bad.len());
    // One for each, and the second runs and searches that the bad ones cost.
    assert!(gates < 1300, "{gates} gates for a thousand changes");
}

#[test]
fn nothing_starves_though_urgent_changes_keep_coming() {
    let mut scene = Scene::new(2, Told::default());
    scene.arrive(&[1]);
    for next in 100..140 {
        scene.model.arrive_urgent(&scene.world, id(next), 0.9);
        scene.settle();
        scene.step();
        if scene.landed().contains(&1) {
            return;
        }
    }
    panic!("1 starves behind urgent changes");
}

#[test]
fn outlook_says_what_a_change_waits_for() {
    let mut scene = Scene::new(4, Told { overlaps: [(1, 2)].into(), ..Told::default() });
    scene.arrive(&[1, 2, 3]);
    let second = scene.model.outlook(id(2));
    assert_eq!((second.position, second.waits_for), (2, ids(&[1])));
    assert!(second.trial.is_some() && second.chance > 0.5 && second.chance < 0.9);
    assert!(scene.model.outlook(id(3)).waits_for.is_empty());
}

#[test]
fn thousand_changes_are_planned_quickly() {
    let mut scene = Scene::new(0, Told::default());
    for number in 1..=1000 {
        scene.model.arrive(&scene.world, id(number), 0.9, Vec::new());
    }
    let mut snapshot: Snapshot = scene.model.snapshot.clone();
    snapshot.slots = 200;
    for place in 0..1000 {
        let before = (0..place).filter(|other| (other * 7 + place * 13) % 5 < 2);
        snapshot.changes[place].overlaps = before.map(|other| snapshot.changes[other].id).collect();
    }
    let steps = plan(&snapshot).steps;
    assert!(steps.len() > 100, "{} steps", steps.len());
    assert!(steps.iter().all(|step| matches!(step, Action::Gate { .. })));
}
