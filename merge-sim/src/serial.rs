//! One change at a time: each is gated on the tip, and lands or is sent back.

use std::collections::VecDeque;

use crate::bench::{Bench, GateId, Strategy};

#[derive(Debug, Default)]
pub struct Serial {
    waiting: VecDeque<usize>,
    current: Option<(GateId, usize)>,
}

impl Serial {
    fn next(&mut self, bench: &mut Bench) {
        while self.current.is_none()
            && let Some(change) = self.waiting.pop_front()
        {
            if bench.merges(&[change]) {
                self.current = Some((bench.gate(&[change]), change));
            } else {
                bench.send_back(change);
            }
        }
    }
}

impl Strategy for Serial {
    fn arrived(&mut self, bench: &mut Bench, change: usize) {
        self.waiting.push_back(change);
        self.next(bench);
    }

    fn gated(&mut self, bench: &mut Bench, gate: GateId, passed: bool) {
        if let Some((_, change)) = self.current.take() {
            if passed {
                bench.land(gate);
            } else {
                bench.send_back(change);
            }
        }
        self.next(bench);
    }
}
