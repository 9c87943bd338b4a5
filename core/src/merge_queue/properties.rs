//! What holds in any world: the model of the engine refuses each landing that is not exact and passed and each blame
//! that is not exact, so these tests drive the planner through random worlds and see that it gets through.

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Model, World};
use super::{Action, Landing, QueueMode};
use crate::ids::ChangeId;

const CHANGES: u64 = 14;

/// A world by chance: pairs are numbered, and each has its relation.
#[derive(Debug, Clone)]
struct Chance {
    bad: Vec<bool>,
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Disjoint,
    Overlapping,
    Clashing,
    Unmergeable,
}

impl Chance {
    fn pair(&self, one: ChangeId, other: ChangeId) -> Pair {
        let (low, high) = (one.get().min(other.get()), one.get().max(other.get()));
        self.pairs[usize::try_from(low * CHANGES + high).unwrap() % self.pairs.len()]
    }

    fn has(&self, pair: Pair, present: &[ChangeId]) -> bool {
        (0..present.len()).any(|at| present[..at].iter().any(|other| self.pair(*other, present[at]) == pair))
    }

    fn is_good(&self, present: &[ChangeId]) -> bool {
        !present.iter().any(|id| self.bad[usize::try_from(id.get()).unwrap()]) && !self.has(Pair::Clashing, present)
    }
}

impl World for Chance {
    fn merges(&self, landed: &[ChangeId], members: &[ChangeId]) -> bool {
        !self.has(Pair::Unmergeable, &[landed, members].concat())
    }

    fn overlap(&self, one: ChangeId, other: ChangeId) -> bool {
        self.pair(one, other) != Pair::Disjoint
    }
}

/// What happens from outside, in turn.
#[derive(Debug, Clone)]
enum Happening {
    Arrive {
        urgent: bool,
        child: bool,
        prior: f64,
    },
    /// A running gate ends; a good one fails if so by chance.
    Finish {
        which: usize,
        flakes: bool,
    },
    Slots(usize),
    QueueMode(QueueMode),
}

fn worlds() -> impl Strategy<Value = Chance> {
    let pair = prop_oneof![
        6 => Just(Pair::Disjoint),
        4 => Just(Pair::Overlapping),
        1 => Just(Pair::Clashing),
        1 => Just(Pair::Unmergeable),
    ];
    (vec(prop::bool::weighted(0.2), 40), vec(pair, 40..90)).prop_map(|(bad, pairs)| Chance { bad, pairs })
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (prop::bool::weighted(0.1), prop::bool::weighted(0.2), 0.5..0.99)
            .prop_map(|(urgent, child, prior)| Happening::Arrive { urgent, child, prior }),
        6 => (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(which, flakes)| Happening::Finish { which, flakes }),
        1 => (0..6_usize).prop_map(Happening::Slots),
        1 => prop_oneof![Just(QueueMode::Open), Just(QueueMode::Halted), Just(QueueMode::Frozen)].prop_map(Happening::QueueMode),
    ];
    vec(one, 1..60)
}

struct Run {
    world: Chance,
    model: Model,
    next: u64,
}

impl Run {
    fn settle(&mut self) {
        let before = self.model.landed.len();
        let done = self.model.settle(&self.world);
        let strict = self.model.snapshot.policy.landing == Landing::Strict;
        if strict && self.model.landed.len() > before {
            assert!(self.world.is_good(&self.model.landed), "the branch is red: {done:?}");
        }
        assert_eq!(self.model.plan(), self.model.plan(), "the same snapshot gives the same plan");
    }

    fn finish(&mut self, which: usize, flakes: bool) -> bool {
        let running = self.model.running();
        if running.is_empty() {
            return false;
        }
        let trial = running[which % running.len()];
        let tree = &self.model.trees[&trial];
        let good = self.world.is_good(&[&self.model.landed[..tree.base], &tree.members].concat());
        self.model.finish(trial, good && !flakes);
        self.settle();
        true
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Arrive { .. } if self.next > CHANGES => {}
            Happening::Arrive { urgent: true, prior, .. } => {
                self.model.arrive_urgent(&self.world, ChangeId::new(self.next), *prior);
                self.next += 1;
            }
            Happening::Arrive { child, prior, .. } => {
                let last = self.model.snapshot.changes.last().map(|change| change.id);
                let parents = last.filter(|_| *child).into_iter().collect();
                self.model.arrive(&self.world, ChangeId::new(self.next), *prior, parents);
                self.next += 1;
            }
            Happening::Finish { which, flakes } => {
                self.finish(*which, *flakes);
            }
            Happening::Slots(slots) => self.model.snapshot.slots = *slots,
            Happening::QueueMode(pace) => self.model.snapshot.policy.pace = *pace,
        }
        self.settle();
    }
}

proptest! {
    #[test]
    fn fuzz_any_world_is_got_through_without_a_wrong_landing_or_blame(
        world in worlds(),
        happenings in happenings(),
        together in any::<bool>(),
        relaxed in prop::bool::weighted(0.2),
    ) {
        let mut model = Model::new(3);
        model.snapshot.policy.together = together;
        if relaxed {
            model.snapshot.policy.landing = Landing::Relaxed;
        }
        let mut run = Run { world, model, next: 1 };
        for happening in &happenings {
            run.happen(happening);
        }
        run.model.snapshot.policy.pace = QueueMode::Open;
        run.model.snapshot.slots = run.model.snapshot.slots.max(1);
        run.settle();
        for _ in 0..2_000 {
            if run.model.snapshot.changes.is_empty() {
                break;
            }
            let red = relaxed && !run.model.snapshot.tip_is_gated;
            let idle = !run.finish(0, false);
            prop_assert!(!idle || red, "it idles before {:?}", run.model.snapshot);
            if idle {
                break;
            }
        }
        let left = run.model.snapshot.changes.len();
        prop_assert!(left == 0 || relaxed, "{left} changes are stuck");
    }

    #[test]
    fn fuzz_paused_queue_starts_nothing(world in worlds(), happenings in happenings()) {
        let mut run = Run { world, model: Model::new(3), next: 1 };
        for happening in &happenings {
            run.happen(happening);
        }
        run.model.snapshot.policy.pace = QueueMode::Halted;
        prop_assert!(run.model.plan().steps.is_empty());
        run.model.snapshot.policy.pace = QueueMode::Frozen;
        let lands = |step: &Action| matches!(step, Action::Land { .. });
        prop_assert!(!run.model.plan().steps.iter().any(lands));
    }
}
