//! bors: all that waits is gated together; a batch that fails is halved.

use std::collections::VecDeque;

use crate::bench::{Bench, GateId, Strategy};

#[derive(Debug, Default)]
pub struct Bors {
    waiting: Vec<usize>,
    /// Halves of batches that failed; they go first.
    halves: VecDeque<Vec<usize>>,
    current: Option<Vec<usize>>,
}

impl Bors {
    fn next(&mut self, bench: &mut Bench) {
        while self.current.is_none() {
            let batch = match self.halves.pop_front() {
                Some(half) => half,
                None if self.waiting.is_empty() => return,
                None => std::mem::take(&mut self.waiting),
            };
            if bench.merges(&batch) {
                bench.gate(&batch);
                self.current = Some(batch);
            } else {
                self.failed(bench, batch);
            }
        }
    }

    fn failed(&mut self, bench: &mut Bench, mut batch: Vec<usize>) {
        if let [only] = batch[..] {
            bench.send_back(only);
        } else {
            let second = batch.split_off(batch.len() / 2);
            self.halves.push_front(second);
            self.halves.push_front(batch);
        }
    }
}

impl Strategy for Bors {
    fn arrived(&mut self, bench: &mut Bench, change: usize) {
        self.waiting.push(change);
        self.next(bench);
    }

    fn gated(&mut self, bench: &mut Bench, gate: GateId, passed: bool) {
        if let Some(batch) = self.current.take() {
            if passed {
                bench.land(gate);
            } else {
                self.failed(bench, batch);
            }
        }
        self.next(bench);
    }
}
