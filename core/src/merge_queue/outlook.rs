//! How each change stands, for people.

use std::collections::BTreeMap;

use super::belief::Belief;
use super::board::{Board, Row};
use super::{Outlook, TrialProgress};
use crate::ids::ChangeId;

pub(super) fn outlook(board: &Board, belief: &Belief) -> BTreeMap<ChangeId, Outlook> {
    let mut likely: Vec<Option<(f64, &Row)>> = vec![None; board.len()];
    for row in board.rows.iter().filter(|row| board.may_land(row)) {
        let chance = match row.state {
            TrialProgress::Passed => 1.0,
            TrialProgress::Running | TrialProgress::Confirming => belief.holds(board, &row.members),
            TrialProgress::Suspect | TrialProgress::Failed | TrialProgress::Unmergeable => continue,
        };
        for place in row.members.iter() {
            if likely[place].is_none_or(|(best, _)| chance > best) {
                likely[place] = Some((chance, row));
            }
        }
    }
    let entry = |place: usize| {
        let waits_for = board.ids_of(&board.needs(place));
        let outlook = Outlook {
            position: place + 1,
            waits_for,
            trial: likely[place].map(|(_, row)| row.id),
            chance: belief.adding(board, place, &board.before[place], 0).exp(),
        };
        (board.ids[place], outlook)
    };
    (0..board.len()).map(entry).collect()
}
