//! The order in which the changes would land, if all goes as it most likely does.

use super::TrialProgress;
use super::belief::{Belief, DOUBTED};
use super::bits::Bits;
use super::board::{Board, Row};

/// A place in the line, with what is known of the line up to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) place: usize,
    /// The chance that the line up to here is good.
    pub(super) holds: f64,
    /// What its landing is worth in landings now: less, if others must leave before.
    pub(super) lands: f64,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) spots: Vec<Spot>,
    /// For each that is not in it, how many of those in it can be expected to wait for its leaving.
    pub(super) blocks: Vec<f64>,
    /// Where each change stands in it.
    pub(super) position: Vec<Option<usize>>,
}

impl Line {
    /// Changes that are known to be good go first, then the others in the order of the queue, then those that land only
    /// after an earlier change leaves. No change passes an earlier one that it overlaps, unless that one is leaving.
    pub(super) fn new(board: &Board, belief: &Belief) -> Self {
        let mut out = Bits::empty(board.len());
        for place in 0..board.len() {
            if belief.is_doubted(place) {
                out.insert(place);
            }
        }
        for place in 0..board.len() {
            if board.parents[place].meets(&out) {
                out.insert(place);
            }
        }
        let mut builder = Builder {
            board,
            belief,
            members: Bits::empty(board.len()),
            left: out.clone(),
            leaves: belief.good.iter().map(|good| 1.0 - good).collect(),
            passed: Bits::empty(board.len()),
            passed_at: Vec::new(),
            spots: Vec::new(),
            log: 0.0,
            leave: 1.0,
        };
        let ranks = ranks(board, belief, &out);
        let of_rank = |rank| ranks.iter().enumerate().filter(move |(_, of)| **of == Some(rank)).map(|(place, _)| place);
        let free = trunk(board, belief, Free::Yes).into_iter().chain(of_rank(0)).chain(of_rank(1));
        let held = trunk(board, belief, Free::No).into_iter().chain(of_rank(2)).chain(of_rank(3));
        for place in free.chain(held) {
            builder.append(place);
        }
        let mut position = vec![None; board.len()];
        for (at, spot) in builder.spots.iter().enumerate() {
            position[spot.place] = Some(at);
        }
        let mut blocks = vec![0.0; board.len()];
        for (at, passed) in &builder.passed_at {
            let behind: f64 = builder.spots[*at..].iter().map(|spot| spot.holds).sum();
            passed.iter().for_each(|place| blocks[place] = behind);
        }
        Self { spots: builder.spots, blocks, position }
    }

    /// The changes up to and with position `at`.
    pub(super) fn up_to(&self, board: &Board, at: usize) -> Bits {
        board.set(self.spots[..=at].iter().map(|spot| spot.place))
    }
}

/// The value of a landing that needs an earlier change to leave, relative to one without.
pub(super) const LATER: f64 = 0.5;
/// A running gate with a smaller chance than this is not built on.
const TRUNK: f64 = 0.4;

/// The foremost rank of each change: known to be good, unknown, and the same again for those that need an earlier
/// change to leave; none before an earlier change that it overlaps.
fn ranks(board: &Board, belief: &Belief, out: &Bits) -> Vec<Option<usize>> {
    let mut ranks = vec![None; board.len()];
    let mut at_least: [Bits; 4] = std::array::from_fn(|_| Bits::empty(board.len()));
    for place in (0..board.len()).filter(|place| !out.contains(*place)) {
        let needs = board.needs(place);
        let own = usize::from(!belief.is_good(place)) + if needs.meets(out) { 2 } else { 0 };
        let rank = (own + 1..4).rev().find(|rank| needs.meets(&at_least[*rank])).unwrap_or(own);
        let rank = if own == 1 && rank == 2 { 3 } else { rank };
        at_least[rank].insert(place);
        ranks[place] = Some(rank);
    }
    ranks
}

/// Whether others must leave before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Free {
    Yes,
    No,
}

/// The changes that the running gates on this tip contain, in their order. A landing makes every gate that does not
/// contain it useless, so the next gate should extend this sequence.
fn trunk(board: &Board, belief: &Belief, free: Free) -> Vec<usize> {
    let mut rows: Vec<(f64, &Row)> = board
        .rows
        .iter()
        .filter(|row| row.is_exact() && row.size > 0)
        .filter_map(|row| {
            let chance = match row.state {
                TrialProgress::Passed => 1.0,
                TrialProgress::Running => belief.passes(board, row),
                TrialProgress::Suspect
                | TrialProgress::Confirming
                | TrialProgress::Failed
                | TrialProgress::Unmergeable => {
                    return None;
                }
            };
            let missing = board.missing(&row.members);
            let chance = chance * belief.leave(&missing);
            (chance >= TRUNK && missing.is_empty() == (free == Free::Yes))
                .then_some((chance * f64::from(row.size), row))
        })
        .collect();
    let Some((_, widest)) = rows.iter().copied().max_by(|one, other| one.0.total_cmp(&other.0)) else {
        return Vec::new();
    };
    rows.retain(|(_, row)| row.members.is_within(&widest.members));
    rows.sort_by_key(|(_, row)| (row.size, row.id));
    let mut taken = Bits::empty(board.len());
    let mut order = Vec::new();
    for (_, row) in rows {
        order.extend(row.members.minus(&taken).iter());
        taken.add(&row.members);
    }
    order
}

struct Builder<'a> {
    board: &'a Board,
    belief: &'a Belief,
    members: Bits,
    /// Those that are not in the line.
    left: Bits,
    /// The chance that each that is not in the line leaves, should the line land.
    leaves: Vec<f64>,
    /// Those not in the line that someone in the line passes: it holds if they leave.
    passed: Bits,
    /// With the position from which on they are passed.
    passed_at: Vec<(usize, Bits)>,
    spots: Vec<Spot>,
    log: f64,
    /// The chance that all that is passed leaves.
    leave: f64,
}

impl Builder<'_> {
    fn append(&mut self, place: usize) {
        if self.members.contains(place) || self.left.contains(place) {
            return;
        }
        // A parent that was put behind its child goes before it all the same; parents in a circle never do.
        self.leave(place, 1.0 - self.belief.good[place]);
        for parent in self.board.parents[place].minus(&self.members).iter() {
            self.append(parent);
        }
        if !self.board.parents[place].is_within(&self.members) {
            return;
        }
        let passes = self.board.before[place].common(&self.left).minus(&self.passed);
        let leave: f64 = passes.iter().filter(|other| *other != place).map(|other| self.leaves[other]).product();
        if leave < DOUBTED {
            return;
        }
        let size = u32::try_from(self.spots.len()).unwrap_or(u32::MAX);
        self.members.insert(place);
        let unspoiled = self.belief.unspoiled(place, &self.members);
        if unspoiled < DOUBTED {
            self.members.remove(place);
            self.leave(place, 1.0 - unspoiled);
            return;
        }
        self.left.remove(place);
        self.log += self.belief.adding(self.board, place, &self.members, size) + unspoiled.ln();
        if !passes.is_empty() {
            self.passed.add(&passes);
            self.passed_at.push((self.spots.len(), passes));
        }
        self.leave *= leave;
        let holds = self.log.exp();
        let lands = if self.passed.is_empty() { holds } else { holds * self.leave * LATER };
        self.spots.push(Spot { place, holds, lands });
    }

    fn leave(&mut self, place: usize, chance: f64) {
        self.left.insert(place);
        self.leaves[place] = chance;
    }
}
