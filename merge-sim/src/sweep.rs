//! The points at which the strategies are compared, and the comparison at one of them.

use crate::bench::{Outcome, run};
use crate::bors::Bors;
use crate::chain::Chain;
use crate::oracle;
use crate::ours::Ours;
use crate::serial::Serial;
use crate::world::{Arrivals, Point, World};

/// The strategies that were built for comparison, as the report names them.
pub const BASELINES: [&str; 4] = ["serial", "zuul", "bors", "optimistic"];

/// What several seeds of one point gave, taken together.
#[derive(Debug, Clone)]
pub struct Compared {
    pub point: Point,
    pub ours: Outcome,
    /// In the order of [`BASELINES`].
    pub baselines: Vec<Outcome>,
    pub oracle: Outcome,
    pub oracle_together: Outcome,
}

pub fn compare(point: Point, seeds: std::ops::Range<u64>) -> Compared {
    let mut compared = Compared {
        point,
        ours: Outcome::default(),
        baselines: vec![Outcome::default(); BASELINES.len()],
        oracle: Outcome::default(),
        oracle_together: Outcome::default(),
    };
    for seed in seeds {
        let world = World::new(point, seed);
        add(&mut compared.ours, run(&world, &mut Ours::new(&world)));
        add(&mut compared.baselines[0], run(&world, &mut Serial::default()));
        add(&mut compared.baselines[1], run(&world, &mut Chain::zuul()));
        add(&mut compared.baselines[2], run(&world, &mut Bors::default()));
        add(&mut compared.baselines[3], run(&world, &mut Chain::optimistic()));
        let (one_by_one, together) = oracle::run(&world);
        add(&mut compared.oracle, one_by_one);
        add(&mut compared.oracle_together, together);
    }
    compared
}

fn add(sum: &mut Outcome, more: Outcome) {
    sum.waits.extend(more.waits);
    sum.span += more.span;
    sum.landed += more.landed;
    sum.gates += more.gates;
    sum.wrongly_sent_back += more.wrongly_sent_back;
    sum.rightly_sent_back += more.rightly_sent_back;
    sum.red += more.red;
    sum.stuck += more.stuck;
}

/// Failure, flake, overlap, conflict.
const KINDS: [(f64, f64, f64, f64); 6] = [
    (0.02, 0.00, 0.02, 0.03),
    (0.05, 0.01, 0.10, 0.04),
    (0.05, 0.05, 0.10, 0.04),
    (0.05, 0.01, 0.40, 0.05),
    (0.15, 0.02, 0.02, 0.03),
    (0.15, 0.02, 0.40, 0.05),
];
/// Changes an hour, and minutes a gate.
const FLOWS: [(f64, f64); 7] =
    [(10.0, 5.0), (60.0, 5.0), (200.0, 5.0), (500.0, 5.0), (10.0, 35.0), (60.0, 35.0), (150.0, 35.0)];
const SLOTS: [usize; 5] = [4, 12, 40, 100, 200];

/// The whole sweep, or each `every`-th point of it, with `changes` changes each.
pub fn points(changes: usize, every: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for (per_hour, gate) in FLOWS {
        for slots in SLOTS {
            for (failure, flake, overlap, conflict) in KINDS {
                for arrivals in [Arrivals::Poisson, Arrivals::Bursty] {
                    let point = Point { per_hour, arrivals, gate, failure, flake, overlap, conflict, slots, changes };
                    // More slots than this change nothing.
                    if slots <= 4 || f64::from(u32::try_from(slots).unwrap_or(0)) < 9.0 * point.load() {
                        points.push(point);
                    }
                }
            }
        }
    }
    points.into_iter().step_by(every).collect()
}
