//! The chance that each change is good, given the trials so far, by Bayes' rule.

use super::bits::Bits;
use super::board::{Board, Row};
use super::{Fit, TrialProgress};

/// The chance that a change is good after a pass on the tip, and after a pass on a tip that has moved since.
const PROVEN: f64 = 0.99;
const PROVEN_ONCE: f64 = 0.97;
/// From here on a change counts as good.
pub(super) const GOOD: f64 = 0.965;
/// Below this a change is taken to be on its way out.
pub(super) const DOUBTED: f64 = 0.5;

/// The largest chance that a change that is sent back is good, where a trial could tell.
const CERTAIN: f64 = 0.02;

/// A set that failed or does not merge, and the chance that this was not its own fault.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) members: Bits,
    pub(super) innocent: f64,
}

#[derive(Debug)]
pub(super) struct Belief {
    /// The chance that each is good.
    pub(super) good: Vec<f64>,
    /// Those that each has passed together with.
    cleared: Vec<Option<Bits>>,
    pub(super) faults: Vec<Fault>,
    /// For each change, the faults that it is part of.
    faults_of: Vec<Vec<usize>>,
    /// The chance that a second run of this row's tree would pass; by row, for those that failed once.
    pub(super) flaky: Vec<f64>,
    clash: f64,
    clash_disjoint: f64,
}

impl Belief {
    pub(super) fn new(board: &Board) -> Self {
        let mut belief = Self {
            good: board.priors.clone(),
            cleared: vec![None; board.len()],
            faults: Vec::new(),
            faults_of: vec![Vec::new(); board.len()],
            flaky: vec![0.0; board.rows.len()],
            clash: (1.0 - board.clash.overlapping.clamp(0.0, 0.5)).ln(),
            clash_disjoint: (1.0 - board.clash.disjoint.clamp(0.0, 0.5)).ln(),
        };
        for row in board.rows.iter().filter(|row| row.state == TrialProgress::Passed) {
            belief.learn_pass(board, row);
        }
        let mut failed: Vec<usize> = (0..board.rows.len()).filter(|at| blames(&board.rows[*at])).collect();
        failed.sort_by_key(|at| (board.rows[*at].size, board.rows[*at].id));
        for at in failed {
            belief.learn_failure(board, at);
        }
        belief
    }

    fn learn_pass(&mut self, board: &Board, row: &Row) {
        let now = match row.fit {
            Fit::Exact | Fit::Disjoint => PROVEN,
            Fit::Old => PROVEN_ONCE,
        };
        for place in row.members.iter() {
            self.good[place] = self.good[place].max(now);
            if row.size > 1 {
                self.cleared[place].get_or_insert_with(|| Bits::empty(board.len())).add(&row.members);
            }
        }
    }

    fn learn_failure(&mut self, board: &Board, at: usize) {
        let row = &board.rows[at];
        let runs = match row.state {
            TrialProgress::Failed => 2,
            TrialProgress::Unmergeable => 9,
            TrialProgress::Suspect | TrialProgress::Confirming | TrialProgress::Running | TrialProgress::Passed => 1,
        };
        let flake = board.flake.powi(runs);
        let holds = self.holds(board, &row.members);
        let failure = 1.0 - holds * (1.0 - flake);
        let innocent = (holds * flake / failure).clamp(0.0, 1.0);
        self.flaky[at] = innocent;
        if row.state == TrialProgress::Unmergeable {
            // It is a pair that does not fit together; neither is bad for that.
            if let Some(only) = row.only() {
                self.good[only] = 0.01;
            }
        } else {
            for place in row.members.iter() {
                let bad = (1.0 - self.good[place]) / failure;
                self.good[place] = (1.0 - bad).clamp(0.001, 0.999);
            }
        }
        if row.size > 1 && (row.fit != Fit::Old || row.state == TrialProgress::Unmergeable) {
            for place in row.members.iter() {
                self.faults_of[place].push(self.faults.len());
            }
            self.faults.push(Fault { members: row.members.clone(), innocent });
        }
    }

    /// The logarithm of the chance that `place` does not spoil a tree that has `members` in it.
    pub(super) fn adding(&self, board: &Board, place: usize, members: &Bits, size: u32) -> f64 {
        let overlapping = board.before[place].count_common(members, self.cleared[place].as_ref());
        let disjoint = size.saturating_sub(overlapping);
        self.good[place].ln() + f64::from(overlapping) * self.clash + f64::from(disjoint) * self.clash_disjoint
    }

    /// The chance that `members` are good together, by what is known of each.
    pub(super) fn holds(&self, board: &Board, members: &Bits) -> f64 {
        members.iter().zip(0..).map(|(place, size)| self.adding(board, place, members, size)).sum::<f64>().exp()
    }

    /// The chance that no fault that lies within `members` and has `place` in it is real.
    pub(super) fn unspoiled(&self, place: usize, members: &Bits) -> f64 {
        self.faults_of[place]
            .iter()
            .map(|fault| &self.faults[*fault])
            .filter(|fault| fault.members.is_within(members))
            .map(|fault| fault.innocent)
            .product()
    }

    /// The chance that this trial's gates pass, as long as nothing is known of its own result.
    pub(super) fn passes(&self, board: &Board, row: &Row) -> f64 {
        let within = self.faults.iter().filter(|fault| fault.members.is_within(&row.members));
        self.holds(board, &row.members) * within.map(|fault| fault.innocent).product::<f64>()
    }

    /// The chance that all of these leave.
    pub(super) fn leave(&self, places: &Bits) -> f64 {
        places.iter().map(|place| 1.0 - self.good[place]).product()
    }

    pub(super) fn is_good(&self, place: usize) -> bool {
        self.good[place] >= GOOD
    }

    /// Whether two failures may still have been chance.
    pub(super) fn is_arguable(&self, place: usize) -> bool {
        self.good[place] > CERTAIN
    }

    pub(super) fn is_doubted(&self, place: usize) -> bool {
        self.good[place] < DOUBTED
    }
}

/// Whether this row's failure says something about its members.
fn blames(row: &Row) -> bool {
    match row.state {
        TrialProgress::Suspect | TrialProgress::Confirming | TrialProgress::Failed => row.green_base && !row.foreign,
        TrialProgress::Unmergeable => !row.foreign,
        TrialProgress::Running | TrialProgress::Passed => false,
    }
}
