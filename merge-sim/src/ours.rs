//! Sprint's planner, driven through the model of its engine.

use std::collections::BTreeMap;

use sprint_core::ids::TrialId;
use sprint_core::merge_queue::model::{Done, Model};
use sprint_core::merge_queue::{Clash, Landing};

use crate::bench::{Bench, GateId, Strategy};
use crate::world::World;

#[derive(Debug)]
pub struct Ours {
    model: Model,
    gates: BTreeMap<GateId, TrialId>,
    /// The last gate of each trial.
    trials: BTreeMap<TrialId, GateId>,
    attempts: Vec<usize>,
}

impl Ours {
    pub fn new(world: &World) -> Self {
        let mut model = Model::new(world.point.slots);
        // What a history would tell: half of the conflicts are seen by gates alone.
        model.snapshot.clash = Clash { overlapping: world.point.conflict / 2.0, disjoint: 0.0 };
        model.snapshot.flake = world.point.flake;
        model.snapshot.policy.landing = Landing::Strict;
        Self { model, gates: BTreeMap::new(), trials: BTreeMap::new(), attempts: vec![0; world.point.changes] }
    }

    fn settle(&mut self, bench: &mut Bench) {
        loop {
            let steps = self.model.plan().steps;
            if steps.is_empty() {
                return;
            }
            for step in &steps {
                // The tree is looked up before, since a landed trial is forgotten.
                for done in self.model.apply(bench.world, step) {
                    self.carry_out(bench, step, done);
                }
            }
        }
    }

    fn carry_out(&mut self, bench: &mut Bench, step: &sprint_core::merge_queue::Action, done: Done) {
        use sprint_core::merge_queue::Action;
        match (step, done) {
            (Action::Land { trial }, Done::Landed(_)) => bench.land(self.trials[trial]),
            (_, Done::Left(id)) => {
                let change = bench.world.change(id);
                self.attempts[change] += 1;
                bench.send_back(change);
            }
            (_, Done::Cancelled(trial)) => bench.cancel(self.trials[&trial]),
            (_, Done::Unmergeable(_) | Done::Landed(_)) => {}
            (Action::Confirm { .. }, Done::Started(trial)) => {
                let gate = bench.gate_again(self.trials[&trial]);
                self.started(gate, trial);
            }
            (_, Done::Started(trial)) => {
                let members: Vec<usize> =
                    self.model.trees[&trial].members.iter().map(|id| bench.world.change(*id)).collect();
                let gate = bench.gate(&members);
                self.started(gate, trial);
            }
        }
    }

    fn started(&mut self, gate: GateId, trial: TrialId) {
        self.gates.insert(gate, trial);
        self.trials.insert(trial, gate);
    }
}

impl Strategy for Ours {
    fn arrived(&mut self, bench: &mut Bench, change: usize) {
        let id = bench.world.id(change, self.attempts[change]);
        self.model.arrive(bench.world, id, 1.0 - bench.world.point.failure, Vec::new());
        self.settle(bench);
    }

    fn gated(&mut self, bench: &mut Bench, gate: GateId, passed: bool) {
        self.model.finish(self.gates[&gate], passed);
        self.settle(bench);
    }
}
