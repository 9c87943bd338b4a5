//! The world that all strategies see: when changes come, which are bad, which overlap and conflict, and how every
//! gate would end, whichever planner starts it.

use fastrand::Rng;
use sprint_core::ids::ChangeId;
use sprint_core::merge_queue::model;

/// Changes further apart than this were not written at the same time, so they never conflict.
const REACH: usize = 20;
/// The spread of gate times: the standard deviation of their logarithm.
const SPREAD: f64 = 0.5;
/// Of the real conflicts, those that git sees; the others are seen by the gates alone.
const TEXTUAL: f64 = 0.5;

/// How changes arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    Poisson,
    /// In bursts of 8 on average, half a minute apart.
    Bursty,
}

/// A point of the sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub per_hour: f64,
    pub arrivals: Arrivals,
    /// Minutes.
    pub gate: f64,
    pub failure: f64,
    pub flake: f64,
    pub overlap: f64,
    /// Of overlapping pairs.
    pub conflict: f64,
    pub slots: usize,
    /// How many changes arrive.
    pub changes: usize,
}

impl Point {
    /// How many slots the gates would keep busy if each change was gated once.
    pub fn load(&self) -> f64 {
        self.per_hour * self.gate * (SPREAD * SPREAD / 2.0).exp() / 60.0
    }
}

/// Two changes that are good by themselves and not together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conflict {
    Textual(usize),
    Semantic(usize),
}

#[derive(Debug)]
pub struct World {
    pub point: Point,
    seed: u64,
    /// Minutes, ascending.
    pub arrivals: Vec<f64>,
    bad: Vec<bool>,
    /// With earlier changes.
    conflicts: Vec<Vec<Conflict>>,
}

impl World {
    pub fn new(point: Point, seed: u64) -> Self {
        let mut rng = draw(seed, &[1]);
        let count = point.changes;
        let mut world = Self {
            point,
            seed,
            arrivals: arrivals(&point, &mut rng),
            bad: (0..count).map(|_| rng.f64() < point.failure).collect(),
            conflicts: vec![Vec::new(); count],
        };
        for later in 0..count {
            for earlier in later.saturating_sub(REACH)..later {
                let mut rng = draw(seed, &[3, key(earlier), key(later)]);
                if world.overlap(earlier, later) && rng.f64() < point.conflict {
                    let textual = rng.f64() < TEXTUAL;
                    let conflict = if textual { Conflict::Textual(earlier) } else { Conflict::Semantic(earlier) };
                    world.conflicts[later].push(conflict);
                }
            }
        }
        world
    }

    pub fn overlap(&self, one: usize, other: usize) -> bool {
        let (one, other) = (one.min(other), one.max(other));
        draw(self.seed, &[2, key(one), key(other)]).f64() < self.point.overlap
    }

    /// Whether the tree with these changes is good, as `present` says.
    pub fn is_good(&self, members: &[usize], present: impl Fn(usize) -> bool) -> bool {
        self.merges(members, &present)
            && members.iter().all(|member| {
                !self.bad[*member]
                    && self.conflicts[*member].iter().all(|conflict| match conflict {
                        Conflict::Textual(other) | Conflict::Semantic(other) => !present(*other),
                    })
            })
            && self.later_ones(members, &present)
    }

    /// Members also meet later changes that landed before them.
    fn later_ones(&self, members: &[usize], present: &impl Fn(usize) -> bool) -> bool {
        members.iter().all(|member| {
            let last = (*member + REACH).min(self.bad.len() - 1);
            (*member + 1..=last).filter(|later| present(*later)).all(|later| {
                !self.conflicts[later].contains(&Conflict::Semantic(*member))
                    && !self.conflicts[later].contains(&Conflict::Textual(*member))
            })
        })
    }

    /// Whether these changes merge, with all that is `present`.
    pub fn merges(&self, members: &[usize], present: &impl Fn(usize) -> bool) -> bool {
        members.iter().all(|member| {
            let last = (*member + REACH).min(self.bad.len() - 1);
            !self.conflicts[*member].iter().any(|conflict| match conflict {
                Conflict::Textual(other) => present(*other),
                Conflict::Semantic(_) => false,
            }) && !(*member + 1..=last)
                .any(|later| present(later) && self.conflicts[later].contains(&Conflict::Textual(*member)))
        })
    }

    /// Which changes are good on top of the good ones before them.
    pub fn good_in_order(&self) -> Vec<bool> {
        let mut good = vec![false; self.bad.len()];
        for change in 0..good.len() {
            good[change] = !self.bad[change]
                && self.conflicts[change].iter().all(|conflict| match conflict {
                    Conflict::Textual(other) | Conflict::Semantic(other) => !good[*other],
                });
        }
        good
    }

    /// The minutes that the `run`-th gate takes whose last member is `change`, and whether it fails for no reason.
    pub fn gate(&self, change: usize, run: u64) -> (f64, bool) {
        let mut rng = draw(self.seed, &[4, key(change), run]);
        let normal = (-2.0 * rng.f64().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
        let minutes = self.point.gate * (SPREAD * normal).exp().clamp(0.2, 4.0);
        (minutes, rng.f64() < self.point.flake)
    }
}

/// The world as the planner's engine sees it: an id says which change it is, and the how-manieth try.
impl model::World for World {
    fn merges(&self, landed: &[ChangeId], members: &[ChangeId]) -> bool {
        let members: Vec<usize> = members.iter().map(|id| self.change(*id)).collect();
        let landed: Vec<usize> = landed.iter().map(|id| self.change(*id)).collect();
        World::merges(self, &members, &|other| members.contains(&other) || landed.contains(&other))
    }

    fn overlap(&self, one: ChangeId, other: ChangeId) -> bool {
        World::overlap(self, self.change(one), self.change(other))
    }
}

impl World {
    pub fn id(&self, change: usize, attempt: usize) -> ChangeId {
        ChangeId::new((attempt * self.bad.len() + change + 1) as u64)
    }

    pub fn change(&self, id: ChangeId) -> usize {
        usize::try_from(id.get() - 1).expect("a small id") % self.bad.len()
    }
}

fn arrivals(point: &Point, rng: &mut Rng) -> Vec<f64> {
    let mut now = 0.0;
    let mut times = Vec::with_capacity(point.changes);
    let mut wait = |mean: f64, rng: &mut Rng| {
        now -= mean * rng.f64().max(1e-12).ln();
        now
    };
    let mean = 60.0 / point.per_hour;
    while times.len() < point.changes {
        match point.arrivals {
            Arrivals::Poisson => times.push(wait(mean, rng)),
            Arrivals::Bursty => {
                let start = wait(8.0 * mean, rng);
                times.push(start);
                let mut at = start;
                while rng.f64() < 7.0 / 8.0 {
                    at -= 0.5 * rng.f64().max(1e-12).ln();
                    times.push(at);
                }
            }
        }
    }
    times.truncate(point.changes);
    times.sort_by(f64::total_cmp);
    times
}

fn key(number: usize) -> u64 {
    number as u64
}

/// A source of chance for one purpose, so that no strategy's doings change what another one meets.
fn draw(seed: u64, purpose: &[u64]) -> Rng {
    let mix = |hash: u64, more: &u64| {
        let mut hash = (hash ^ more).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^ (hash >> 32)
    };
    Rng::with_seed(purpose.iter().fold(seed.wrapping_add(77), mix))
}
