//! Zuul's dependent pipeline: every change is gated on all before it, and when one fails all behind it start again
//! without it. With a window that grows with landings and halves with failures it is Zuul's; without one it is the
//! optimistic queue.

use crate::bench::{Bench, GateId, Strategy};

const FIRST_WINDOW: usize = 20;
const LEAST_WINDOW: usize = 3;

#[derive(Debug, Clone, Copy)]
enum State {
    Waiting,
    Running(GateId),
    Passed(GateId),
    Failed,
}

#[derive(Debug)]
struct Entry {
    change: usize,
    state: State,
}

#[derive(Debug)]
pub struct Chain {
    entries: Vec<Entry>,
    /// How many of the first are gated at a time; all, without one.
    window: Option<usize>,
}

impl Chain {
    pub fn zuul() -> Self {
        Self { entries: Vec::new(), window: Some(FIRST_WINDOW) }
    }

    pub fn optimistic() -> Self {
        Self { entries: Vec::new(), window: None }
    }

    /// Lands and sends back at the head, then fills the slots.
    fn advance(&mut self, bench: &mut Bench) {
        loop {
            self.settle_head(bench);
            if !self.fill(bench) {
                return;
            }
        }
    }

    fn settle_head(&mut self, bench: &mut Bench) {
        while let Some(head) = self.entries.first() {
            match head.state {
                State::Waiting | State::Running(_) => return,
                State::Passed(gate) => {
                    bench.land(gate);
                    self.window = self.window.map(|window| window + 1);
                }
                State::Failed => {
                    bench.send_back(head.change);
                    self.window = self.window.map(|window| (window / 2).max(LEAST_WINDOW));
                }
            }
            self.entries.remove(0);
        }
    }

    /// Starts gates in order; says whether a change turned out not to merge.
    fn fill(&mut self, bench: &mut Bench) -> bool {
        let window = self.window.unwrap_or(usize::MAX).min(self.entries.len());
        let mut members = Vec::new();
        for at in 0..window {
            match self.entries[at].state {
                State::Failed => {}
                State::Running(_) | State::Passed(_) => members.push(self.entries[at].change),
                State::Waiting if bench.free() == 0 => return false,
                State::Waiting => {
                    members.push(self.entries[at].change);
                    if !bench.merges(&members) {
                        self.failed(bench, at);
                        return true;
                    }
                    self.entries[at].state = State::Running(bench.gate(&members));
                }
            }
        }
        false
    }

    /// All behind the one that failed starts again.
    fn failed(&mut self, bench: &mut Bench, at: usize) {
        self.entries[at].state = State::Failed;
        for entry in &mut self.entries[at + 1..] {
            if let State::Running(gate) = entry.state {
                bench.cancel(gate);
            }
            entry.state = State::Waiting;
        }
    }
}

impl Strategy for Chain {
    fn arrived(&mut self, bench: &mut Bench, change: usize) {
        self.entries.push(Entry { change, state: State::Waiting });
        self.advance(bench);
    }

    fn gated(&mut self, bench: &mut Bench, gate: GateId, passed: bool) {
        let is_it = |entry: &Entry| matches!(entry.state, State::Running(running) if running == gate);
        if let Some(at) = self.entries.iter().position(is_it) {
            if passed {
                self.entries[at].state = State::Passed(gate);
            } else {
                self.failed(bench, at);
            }
        }
        self.advance(bench);
    }
}
