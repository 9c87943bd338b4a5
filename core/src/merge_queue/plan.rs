//! The plan itself.

use super::belief::Belief;
use super::board::Board;
use super::choose::{self, Chooser};
use super::line::Line;
use super::outlook::outlook;
use super::settle;
use super::{Action, Plan, QueueMode, Snapshot, TrialProgress};

/// Says what to do now.
///
/// What is decided goes first: while there is a change to land or to send back, the plan is just that, and
/// the next snapshot brings the rest. Landings and gates depend on the snapshot alone.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let board = Board::new(snapshot);
    let belief = Belief::new(&board);
    Plan { steps: steps(&board, &belief), outlook: outlook(&board, &belief) }
}

fn steps(board: &Board, belief: &Belief) -> Vec<Action> {
    match board.policy.pace {
        QueueMode::Halted => return Vec::new(),
        QueueMode::Open | QueueMode::Frozen => {}
    }
    if board.is_open()
        && let Some(landing) = settle::landing(board)
    {
        return vec![landing];
    }
    let departures = settle::departures(board, belief);
    if !departures.is_empty() {
        return departures;
    }
    let idle = settle::idle_gates(board, belief);
    let running = board.rows.iter().filter(|row| row.is_live()).count() - idle.len();
    let mut free = board.slots.saturating_sub(running);
    let mut steps: Vec<Action> = idle.iter().map(|row| Action::Cancel { trial: row.id }).collect();
    if free > 0
        && let Some(step) = tip(board)
    {
        steps.push(step);
        free -= 1;
    }
    let line = Line::new(board, belief);
    let gates = Chooser::new(board, belief, &line, free).choose();
    if gates.is_empty() && running == 0 && free > 0 {
        steps.extend(choose::anything(board));
    }
    steps.extend(gates);
    steps
}

/// What to do to know of the tip itself whether it is good.
fn tip(board: &Board) -> Option<Action> {
    if board.tip_is_gated {
        return None;
    }
    match board.rows.iter().find(|row| settle::is_tip(row)) {
        None => Some(Action::Gate { members: Vec::new() }),
        Some(row) if row.state == TrialProgress::Suspect => Some(Action::Confirm { trial: row.id }),
        Some(_) => None,
    }
}
