//! Oracles: they know beforehand which changes are good and that no gate of theirs flakes, so that they gate each good
//! change just once, on the good ones before it, in the order of arrival and as slots get free; what is bad costs them
//! nothing. The first lands one change after the other, in order; the second lands all that a passed tree holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::bench::Outcome;
use crate::world::World;

/// What is landed in order, and what is landed together.
pub fn run(world: &World) -> (Outcome, Outcome) {
    let good = world.good_in_order();
    // Slots by the time at which they are free, in microseconds, so that they have an order.
    let mut slots: BinaryHeap<Reverse<u64>> = (0..world.point.slots).map(|_| Reverse(0)).collect();
    let mut ends = Vec::new();
    for change in (0..good.len()).filter(|change| good[*change]) {
        let Reverse(free) = slots.pop().expect("there is a slot");
        let start = minutes(free).max(world.arrivals[change]);
        let end = start + world.gate(change, 0).0;
        slots.push(Reverse(ticks(end)));
        ends.push((change, end));
    }
    let mut one_by_one = Outcome { rightly_sent_back: good.len() - ends.len(), ..Outcome::default() };
    one_by_one.gates = ends.len();
    let mut together = one_by_one.clone();
    let mut latest = 0.0_f64;
    for (change, end) in &ends {
        latest = latest.max(*end);
        land(&mut one_by_one, world.arrivals[*change], latest);
    }
    let mut soonest = f64::INFINITY;
    for (change, end) in ends.iter().rev() {
        soonest = soonest.min(*end);
        land(&mut together, world.arrivals[*change], soonest);
    }
    (one_by_one, together)
}

fn land(outcome: &mut Outcome, arrived: f64, at: f64) {
    outcome.waits.push(at - arrived);
    outcome.landed += 1;
    outcome.span = outcome.span.max(at);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a simulation lasts less than ages")]
fn ticks(minutes: f64) -> u64 {
    (minutes * 60e6) as u64
}

#[expect(clippy::cast_precision_loss, reason = "a simulation lasts less than ages")]
fn minutes(ticks: u64) -> f64 {
    ticks as f64 / 60e6
}
