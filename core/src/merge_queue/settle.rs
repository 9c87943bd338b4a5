//! The steps that are certain: landings, changes to send back, gates that no longer matter.

use std::collections::HashSet;

use super::belief::Belief;
use super::bits::Bits;
use super::board::{Board, Row};
use super::{Action, Fit, Landing, TrialProgress};

/// The landing to make now, if any: the one with the most changes.
pub(super) fn landing(board: &Board) -> Option<Action> {
    let red_tip = board.rows.iter().any(|row| is_tip(row) && failed(row));
    board
        .rows
        .iter()
        .filter(|row| row.state == TrialProgress::Passed && board.may_land(row))
        .filter(|row| row.fit == Fit::Exact || !red_tip)
        .filter(|row| board.missing(&row.members).is_empty())
        .max_by_key(|row| (row.fit == Fit::Exact, row.size, std::cmp::Reverse(row.id)))
        .map(|row| Action::Land { trial: row.id })
}

/// Whether this is the trial of the tip itself.
pub(super) fn is_tip(row: &Row) -> bool {
    row.is_exact() && row.size == 0
}

fn failed(row: &Row) -> bool {
    match row.state {
        TrialProgress::Suspect | TrialProgress::Confirming | TrialProgress::Failed => true,
        TrialProgress::Running | TrialProgress::Passed | TrialProgress::Unmergeable => false,
    }
}

/// The changes to send back, with those that follow them.
pub(super) fn departures(board: &Board, belief: &Belief) -> Vec<Action> {
    let passed: HashSet<&Bits> = board
        .rows
        .iter()
        .filter(|row| row.state == TrialProgress::Passed && row.is_exact())
        .map(|row| &row.members)
        .collect();
    let mut gone = Bits::empty(board.len());
    let mut steps = Vec::new();
    for row in &board.rows {
        let Some(culprit) = culprit(board, row, &passed) else { continue };
        // Where gates often fail for no reason, it is gated once more, on what the tip has become.
        let once_more = row.fit != Fit::Exact && belief.is_arguable(culprit);
        // It passed with others, and lands with them once the queue is not frozen. One that can land neither alone
        // nor with them would delay all others without end.
        let lands_with_others = board.policy.together
            && passed.iter().any(|members| members.contains(culprit) && board.missing(members).is_empty());
        if !once_more && !gone.contains(culprit) && !lands_with_others {
            gone.insert(culprit);
            steps.push(Action::Eject { change: board.ids[culprit], trial: row.id });
        }
    }
    for place in 0..board.len() {
        let lost = board.parents[place].common(&gone);
        if let (false, Some(parent)) = (gone.contains(place), lost.last()) {
            steps.push(Action::Follow { change: board.ids[place], parent: board.ids[parent] });
        }
    }
    steps
}

/// The one whose fault it must be that this trial failed, since all else in it is known to be good.
fn culprit(board: &Board, row: &Row, passed: &HashSet<&Bits>) -> Option<usize> {
    if row.foreign {
        return None;
    }
    match row.state {
        TrialProgress::Unmergeable => row.only().filter(|_| row.fit == Fit::Exact),
        TrialProgress::Failed if row.size == 1 => row.only().filter(|_| row.green_base),
        TrialProgress::Failed if row.fit == Fit::Exact => {
            let last = row.members.last()?;
            let rest = row.members.minus(&board.set([last]));
            (passed.contains(&rest) && board.missing(&rest).is_empty()).then_some(last)
        }
        TrialProgress::Failed
        | TrialProgress::Running
        | TrialProgress::Passed
        | TrialProgress::Suspect
        | TrialProgress::Confirming => None,
    }
}

/// Whether a second failure of this trial would say whose fault it is.
pub(super) fn is_decisive(board: &Board, row: &Row, passed: &HashSet<&Bits>) -> bool {
    let failed = Row { state: TrialProgress::Failed, ..row.clone() };
    culprit(board, &failed, passed).is_some()
}

/// The gates that cannot matter any more.
pub(super) fn idle_gates<'a>(board: &'a Board, belief: &Belief) -> Vec<&'a Row> {
    board.rows.iter().filter(|row| row.is_live() && !matters(board, belief, row)).collect()
}

fn matters(board: &Board, belief: &Belief, row: &Row) -> bool {
    if row.foreign {
        return false;
    }
    if row.size == 0 {
        return row.fit == Fit::Exact && !board.tip_is_gated;
    }
    let lands = match row.fit {
        Fit::Exact => true,
        Fit::Disjoint => board.policy.landing == Landing::Relaxed,
        Fit::Old => false,
    };
    lands || row.members.iter().any(|place| !belief.is_good(place))
}
