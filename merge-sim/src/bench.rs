//! The clock, the gates and the branch: what every strategy works with, and what checks each landing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::world::World;

pub type GateId = u64;

/// A way to run a merge queue.
pub trait Strategy {
    fn arrived(&mut self, bench: &mut Bench, change: usize);
    fn gated(&mut self, bench: &mut Bench, gate: GateId, passed: bool);
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Minutes from a change's first arrival to its landing.
    pub waits: Vec<f64>,
    /// Minutes until the last change had landed or left.
    pub span: f64,
    pub landed: usize,
    pub gates: usize,
    pub wrongly_sent_back: usize,
    pub rightly_sent_back: usize,
    /// Landings of trees that are not good.
    pub red: usize,
    /// Changes that neither landed nor left.
    pub stuck: usize,
}

#[derive(Debug, Clone)]
struct Gate {
    /// How many had landed, and what was merged onto them.
    base: usize,
    members: Vec<usize>,
    passes: bool,
    passed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrived(usize),
    Gated(GateId),
}

/// Minutes, in an order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At(f64);

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Debug)]
pub struct Bench<'a> {
    pub world: &'a World,
    now: f64,
    events: BinaryHeap<Reverse<(At, u64, Event)>>,
    sequence: u64,
    gates: BTreeMap<GateId, Gate>,
    running: usize,
    runs: Vec<u64>,
    landed: Vec<usize>,
    landed_at: Vec<Option<usize>>,
    pub outcome: Outcome,
    /// How many changes have landed or left for good.
    closed: usize,
}

/// Runs a strategy until all that arrived has landed or left, or nothing goes on.
pub fn run(world: &World, strategy: &mut impl Strategy) -> Outcome {
    let count = world.arrivals.len();
    let mut bench = Bench {
        world,
        now: 0.0,
        events: BinaryHeap::new(),
        sequence: 0,
        gates: BTreeMap::new(),
        running: 0,
        runs: vec![0; count],
        landed: Vec::new(),
        landed_at: vec![None; count],
        outcome: Outcome::default(),
        closed: 0,
    };
    for (change, at) in world.arrivals.iter().enumerate() {
        bench.push(*at, Event::Arrived(change));
    }
    while let Some(Reverse((at, _, event))) = bench.events.pop() {
        bench.now = at.0;
        match event {
            Event::Arrived(change) => strategy.arrived(&mut bench, change),
            Event::Gated(id) => {
                // A gate that was cancelled is gone.
                if let Some(gate) = bench.gates.get_mut(&id) {
                    gate.passed = gate.passes;
                    let passed = gate.passes;
                    bench.running -= 1;
                    strategy.gated(&mut bench, id, passed);
                }
            }
        }
        if bench.closed == count {
            break;
        }
    }
    bench.outcome.span = bench.now;
    bench.outcome.landed = bench.landed.len();
    bench.outcome.stuck = count - bench.closed;
    bench.outcome
}

impl Bench<'_> {
    fn push(&mut self, at: f64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((At(at), self.sequence, event)));
    }

    pub fn now(&self) -> f64 {
        self.now
    }

    pub fn free(&self) -> usize {
        self.world.point.slots - self.running
    }

    pub fn has_landed(&self, change: usize) -> bool {
        self.landed_at[change].is_some()
    }

    /// Whether these merge onto the tip.
    pub fn merges(&self, members: &[usize]) -> bool {
        self.world.merges(members, &|other| members.contains(&other) || self.has_landed(other))
    }

    /// Gates the tip with these changes.
    pub fn gate(&mut self, members: &[usize]) -> GateId {
        self.gate_on(self.landed.len(), members)
    }

    /// Gates what this gate gated once more.
    pub fn gate_again(&mut self, gate: GateId) -> GateId {
        let Gate { base, members, .. } = self.gates[&gate].clone();
        self.gate_on(base, &members)
    }

    fn gate_on(&mut self, base: usize, members: &[usize]) -> GateId {
        assert!(self.free() > 0, "all slots are taken");
        let last = *members.last().expect("a gate gates something");
        let (minutes, flakes) = self.world.gate(last, self.runs[last]);
        self.runs[last] += 1;
        self.running += 1;
        self.outcome.gates += 1;
        let below = |other: usize| self.landed_at[other].is_some_and(|at| at < base);
        let good = self.world.is_good(members, |other| members.contains(&other) || below(other));
        let id = self.sequence + 1;
        self.gates.insert(id, Gate { base, members: members.to_vec(), passes: good && !flakes, passed: false });
        self.push(self.now + minutes, Event::Gated(id));
        id
    }

    pub fn cancel(&mut self, gate: GateId) {
        self.gates.remove(&gate).expect("a gate that runs");
        self.running -= 1;
    }

    /// Moves the branch to the tree that this gate passed.
    pub fn land(&mut self, gate: GateId) {
        let gate = self.gates.remove(&gate).expect("a gate");
        let between = &self.landed[gate.base..];
        assert!(gate.passed, "what lands has passed");
        assert!(between.iter().all(|landed| gate.members.contains(landed)), "what lands is what passed");
        for change in gate.members {
            if self.landed_at[change].is_none() {
                self.landed_at[change] = Some(self.landed.len());
                self.landed.push(change);
                self.outcome.waits.push(self.now - self.world.arrivals[change]);
                self.closed += 1;
            }
        }
        if !self.world.is_good(&self.landed, |other| self.has_landed(other)) {
            self.outcome.red += 1;
        }
    }

    /// Sends a change back. One that was sent back wrongly is handed in again at once.
    pub fn send_back(&mut self, change: usize) {
        if self.world.is_good(&[change], |other| other == change || self.has_landed(other)) {
            self.outcome.wrongly_sent_back += 1;
            self.push(self.now, Event::Arrived(change));
        } else {
            self.outcome.rightly_sent_back += 1;
            self.closed += 1;
        }
    }
}
