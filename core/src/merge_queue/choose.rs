//! Which gates to start: best first, by what their results are worth and how likely they are.

use std::collections::HashSet;

use super::belief::{Belief, DOUBTED};
use super::bits::Bits;
use super::board::{Board, Row};
use super::line::{LATER, Line};
use super::settle;
use super::{Action, Fit, TrialProgress};

/// Knowing of a change whether it is good is worth this much of landing it.
const KNOWLEDGE: f64 = 0.5;
/// Sending back what is bad makes way for others.
const VERDICT: f64 = 0.9;
/// Less than this is not worth a gate, even if a slot is free.
const LEAST: f64 = 0.05;
/// A set of unknown changes is not gated together when the chance of a pass is smaller.
const BATCH: f64 = 0.35;
/// A prefix of the line that passes with a smaller chance is not considered.
const UNLIKELY: f64 = 0.01;
/// An urgent change weighs as many others.
const URGENT: f64 = 8.0;

/// Something to gate, and its worth.
#[derive(Debug, Clone)]
struct Offer {
    worth: f64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// The line up to and with this position.
    Prefix(usize),
    /// These changes, to learn about them.
    Probe(Bits),
    /// Row `at` once more.
    Confirm(usize),
}

pub(super) struct Chooser<'a> {
    board: &'a Board,
    belief: &'a Belief,
    line: &'a Line,
    /// Of each change, the chance that a live or passed trial lands it.
    covered: Vec<f64>,
    /// Of each change, the chance that a live trial tells whether it is good.
    known: Vec<f64>,
    /// The sets that have a trial on this tip.
    tried: HashSet<Bits>,
    passed: HashSet<&'a Bits>,
    /// Positions in the line up to which there is a trial on this tip.
    tried_prefix: Vec<bool>,
    /// The rows that are confirmed in this plan.
    confirmed: Vec<usize>,
    /// The changes that a running second run is about.
    judged: Bits,
    free: usize,
}

impl<'a> Chooser<'a> {
    pub(super) fn new(board: &'a Board, belief: &'a Belief, line: &'a Line, free: usize) -> Self {
        let exact = board.rows.iter().filter(|row| row.is_exact());
        let passed = board.rows.iter().filter(|row| row.is_exact() && row.state == TrialProgress::Passed);
        let mut chooser = Self {
            board,
            belief,
            line,
            covered: vec![0.0; board.len()],
            known: vec![0.0; board.len()],
            tried: HashSet::new(),
            passed: passed.map(|row| &row.members).collect(),
            tried_prefix: vec![false; line.spots.len()],
            confirmed: Vec::new(),
            judged: Bits::empty(board.len()),
            free,
        };
        for row in exact {
            chooser.mark_tried(&row.members);
        }
        for (at, row) in board.rows.iter().enumerate() {
            chooser.cover(at, row);
        }
        chooser
    }

    /// The gates to start, the most valuable first.
    pub(super) fn choose(mut self) -> Vec<Action> {
        let mut steps = Vec::new();
        if let Some(step) = self.head() {
            steps.push(step);
            self.free = self.free.saturating_sub(1);
        }
        while self.free > 0 {
            let Some(offer) = self.best() else { break };
            let offer = self.or_first(offer);
            steps.push(self.take(offer));
            self.free -= 1;
        }
        steps
    }

    fn mark_tried(&mut self, members: &Bits) {
        let last =
            members.iter().map(|place| self.line.position[place]).try_fold(0, |last, at| at.map(|at| last.max(at)));
        if let Some(last) = last
            && members.count() as usize == last + 1
        {
            self.tried_prefix[last] = true;
        }
        self.tried.insert(members.clone());
    }

    /// Whether it is not known what comes of these members on this tip.
    fn is_new(&self, members: &Bits) -> bool {
        !self.tried.contains(members) && !is_unmergeable(self.board, members)
    }

    /// Counts what the trial that exists already promises.
    fn cover(&mut self, at: usize, row: &Row) {
        let chance = match row.state {
            TrialProgress::Passed if self.board.may_land(row) => 1.0,
            TrialProgress::Running => self.belief.passes(self.board, row),
            TrialProgress::Confirming => self.belief.flaky[at],
            TrialProgress::Passed | TrialProgress::Suspect | TrialProgress::Failed | TrialProgress::Unmergeable => {
                return;
            }
        };
        if row.foreign {
            return;
        }
        if self.board.may_land(row) || row.fit == Fit::Exact {
            self.promise(&row.members, chance * self.leave(&row.members));
        }
        if row.state == TrialProgress::Confirming {
            self.judge(row);
        }
        if row.is_live() {
            self.tell(&row.members, chance);
        }
    }

    /// What a landing of `members` is worth, when others must leave before.
    fn leave(&self, members: &Bits) -> f64 {
        let missing = self.board.missing(members);
        if missing.is_empty() { 1.0 } else { LATER * self.belief.leave(&missing) }
    }

    /// A gate of `members` lands them with this chance; if they must land one by one, only the last.
    fn promise(&mut self, members: &Bits, chance: f64) {
        if self.board.policy.together {
            for place in members.iter() {
                self.covered[place] = self.covered[place].max(chance);
            }
        } else if let Some(place) = self.last_in_line(members) {
            self.covered[place] = self.covered[place].max(chance);
        }
    }

    fn last_in_line(&self, members: &Bits) -> Option<usize> {
        members.iter().max_by_key(|place| (self.line.position[*place], *place))
    }

    /// A gate of `members`, which hold with this chance, tells of each what the others let through.
    fn tell(&mut self, members: &Bits, chance: f64) {
        for place in members.iter() {
            let others = (chance / self.belief.good[place]).min(1.0);
            self.known[place] = self.known[place].max(others);
        }
    }

    /// The second run of this row says whether its last member must leave.
    fn judge(&mut self, row: &Row) {
        if let Some(last) = row.members.last()
            && settle::is_decisive(self.board, row, &self.passed)
        {
            self.judged.insert(last);
            self.known[last] = 1.0;
        }
    }

    fn weight(&self, place: usize) -> f64 {
        let own = if self.board.urgent[place] { URGENT } else { 1.0 };
        own + self.line.blocks[place]
    }

    /// Sees to it that the first change in the queue comes to a decision, however little that is worth:
    /// so each comes to be the first.
    fn head(&mut self) -> Option<Action> {
        if self.free == 0 || self.board.len() == 0 {
            return None;
        }
        let alone = self.closed(0);
        let settled = |row: &&Row| {
            let holds = row.is_live()
                && (row.members == alone || row.is_exact() && self.belief.passes(self.board, row) >= DOUBTED);
            let lands = row.state == TrialProgress::Passed && row.is_exact();
            row.members.contains(0) && (holds || lands)
        };
        if self.board.rows.iter().any(|row| settled(&row)) || self.belief.good[0] >= self.board.priors[0] {
            return None;
        }
        if let Some(at) = self.board.rows.iter().position(|row| {
            row.members == alone
                && row.state == TrialProgress::Suspect
                && settle::is_decisive(self.board, row, &self.passed)
        }) {
            return Some(self.take(Offer { worth: 1.0, what: What::Confirm(at) }));
        }
        self.is_new(&alone).then(|| self.take(Offer { worth: 1.0, what: What::Probe(alone) }))
    }

    /// Gates the first change in the queue instead, if no gate concerns it.
    fn or_first(&self, offer: Offer) -> Offer {
        let first = self.closed(0);
        if self.known[0] > 0.0 || self.covered[0] > 0.0 || !self.is_new(&first) {
            return offer;
        }
        let concerns = match &offer.what {
            What::Prefix(at) => self.line.position[0].is_some_and(|first| first <= *at),
            What::Probe(members) => members.contains(0),
            What::Confirm(at) => self.board.rows[*at].members.contains(0),
        };
        if concerns { offer } else { Offer { what: What::Probe(first), ..offer } }
    }

    /// A change with all that its branch contains.
    fn closed(&self, place: usize) -> Bits {
        let mut members = self.board.parents[place].clone();
        members.insert(place);
        members
    }

    fn best(&self) -> Option<Offer> {
        [self.best_prefix(), self.best_probe(), self.best_confirm()]
            .into_iter()
            .flatten()
            .filter(|offer| offer.worth >= LEAST)
            .fold(None, |best: Option<Offer>, offer| match best {
                Some(best) if best.worth >= offer.worth => Some(best),
                Some(_) | None => Some(offer),
            })
    }

    /// The part of the line by whose gate most more landings are to be expected: the beginnings of a line hold or
    /// break together, so that a gate adds to what others promise only by how much likelier it holds than they.
    fn best_prefix(&self) -> Option<Offer> {
        let mut best: Option<Offer> = None;
        // Further on, nothing is worth a gate.
        let likely = self.line.spots.iter().enumerate().take_while(|(_, spot)| spot.holds > UNLIKELY);
        for (at, spot) in likely.filter(|(at, _)| !self.tried_prefix[*at]) {
            let members = if self.board.policy.together { &self.line.spots[..=at] } else { &self.line.spots[at..=at] };
            let worth = members
                .iter()
                .map(|member| self.weight(member.place) * (spot.lands - self.covered[member.place]).max(0.0))
                .sum();
            if best.as_ref().is_none_or(|best| worth > best.worth) {
                best = Some(Offer { worth, what: What::Prefix(at) });
            }
        }
        best
    }

    /// The changes of which most is to be learnt: one, or as many at a time as the free slots make necessary.
    fn best_probe(&self) -> Option<Offer> {
        let waiting: Vec<usize> = (0..self.board.len()).filter(|place| self.ignorance(*place) >= LEAST).collect();
        let most = waiting.len().div_ceil(self.free.max(1));
        let mut best: Option<Offer> = None;
        for place in &waiting {
            let members = self.closed(*place);
            let worth = self.weight(*place) * self.ignorance(*place);
            if self.is_new(&members) && best.as_ref().is_none_or(|best| worth > best.worth) {
                best = Some(Offer { worth, what: What::Probe(members) });
            }
        }
        if most > 1
            && let Some(batch) = self.batch(&waiting, most)
            && best.as_ref().is_none_or(|best| batch.worth > best.worth)
        {
            return Some(batch);
        }
        best
    }

    /// What a probe of this change would be worth.
    fn ignorance(&self, place: usize) -> f64 {
        if self.belief.is_good(place) {
            return 0.0;
        }
        KNOWLEDGE * (1.0 - self.known[place])
    }

    fn batch(&self, waiting: &[usize], most: usize) -> Option<Offer> {
        let mut members = Bits::empty(self.board.len());
        let mut size = 0;
        let mut log = 0.0;
        let mut best: Option<Offer> = None;
        for place in waiting.iter().copied().filter(|place| !self.belief.is_doubted(*place)) {
            let more = self.closed(place).minus(&members);
            if more.count() > 1 {
                continue;
            }
            members.insert(place);
            let unspoiled = self.belief.unspoiled(place, &members);
            if unspoiled < DOUBTED {
                members.remove(place);
                continue;
            }
            log += self.belief.adding(self.board, place, &members, size) + unspoiled.ln();
            let holds = log.exp();
            if holds < BATCH || size as usize >= most {
                break;
            }
            size += 1;
            let told = |place| holds - self.known[place] * self.belief.good[place];
            let worth = KNOWLEDGE * members.iter().map(|place| self.weight(place) * told(place).max(0.0)).sum::<f64>();
            if size > 1 && self.is_new(&members) && best.as_ref().is_none_or(|best| worth > best.worth) {
                best = Some(Offer { worth, what: What::Probe(members.clone()) });
            }
        }
        best
    }

    fn best_confirm(&self) -> Option<Offer> {
        let mut best: Option<Offer> = None;
        for (at, row) in self.board.rows.iter().enumerate() {
            if row.state != TrialProgress::Suspect || row.foreign || self.confirmed.contains(&at) {
                continue;
            }
            let open: f64 = row.members.iter().map(|place| self.weight(place) * (1.0 - self.covered[place])).sum();
            let lands = if self.board.may_land(row) { self.belief.flaky[at] * open } else { 0.0 };
            let decides = settle::is_decisive(self.board, row, &self.passed)
                && row.members.last().is_some_and(|last| !self.judged.contains(last));
            let verdict = row.members.last().map_or(0.0, |last| VERDICT * self.weight(last));
            let worth = if decides { lands.max(verdict) } else { lands };
            if best.as_ref().is_none_or(|best| worth > best.worth) {
                best = Some(Offer { worth, what: What::Confirm(at) });
            }
        }
        best
    }

    /// Makes a step of the offer, and counts what it promises.
    fn take(&mut self, offer: Offer) -> Action {
        match offer.what {
            What::Confirm(at) => {
                let row = &self.board.rows[at];
                self.confirmed.push(at);
                if self.board.may_land(row) {
                    self.promise(&row.members, self.belief.flaky[at]);
                }
                self.judge(row);
                Action::Confirm { trial: row.id }
            }
            What::Prefix(at) => {
                let members = self.line.up_to(self.board, at);
                self.promise(&members, self.line.spots[at].lands);
                self.tell(&members, self.line.spots[at].holds);
                self.gate(&members)
            }
            What::Probe(members) => {
                let chance = self.belief.holds(self.board, &members);
                self.tell(&members, chance);
                self.promise(&members, chance * self.leave(&members));
                self.gate(&members)
            }
        }
    }

    fn gate(&mut self, members: &Bits) -> Action {
        self.mark_tried(members);
        Action::Gate { members: self.board.ids_of(members) }
    }
}

/// Whether some of these members are known not to merge onto this tip.
fn is_unmergeable(board: &Board, members: &Bits) -> bool {
    let mut known = board.rows.iter().filter(|row| row.is_exact() && row.state == TrialProgress::Unmergeable);
    known.any(|row| row.members.is_within(members))
}

/// What to gate when nothing is gated and nothing seems worth it: the first of the queue's beginnings, or else of its
/// changes by themselves, that can still tell something.
pub(super) fn anything(board: &Board) -> Option<Action> {
    let exact: Vec<&Row> = board.rows.iter().filter(|row| row.is_exact()).collect();
    let mut members = Bits::empty(board.len());
    let alone = (0..board.len()).map(|place| board.set(board.parents[place].iter().chain([place])));
    let beginnings = (0..board.len()).map(|place| {
        members.insert(place);
        members.clone()
    });
    for candidate in alone.chain(beginnings) {
        if is_unmergeable(board, &candidate) {
            continue;
        }
        match exact.iter().find(|row| row.members == candidate) {
            None => return Some(Action::Gate { members: board.ids_of(&candidate) }),
            Some(row) if row.state == TrialProgress::Suspect => return Some(Action::Confirm { trial: row.id }),
            Some(_) => {}
        }
    }
    None
}
