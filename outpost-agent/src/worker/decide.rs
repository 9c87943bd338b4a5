//! What a worker needs next, decided from what is known of it; no I/O.
//!
//! The decision is made from the facts each time, so that an agent that starts in the
//! middle of a worker's life goes on where the one before it ended.

use serde::{Deserialize, Serialize};

use super::progress::Phase;
use crate::shim::plan::Exit;
use crate::tmux::Presence;

/// How far the current round's start has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Launch {
    #[default]
    Unprepared,
    /// The plan is on disk and the workspace ready.
    Planned,
    /// This run of the agent has started the session.
    Launched,
}

/// What the files of a round say of its shim. A round begins once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Shim {
    #[default]
    NotBegun,
    Alive,
    Gone,
}

/// What the disk, tmux and the coordinator say of a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) phase: Phase,
    pub(crate) launch: Launch,
    pub(crate) shim: Shim,
    pub(crate) session: Option<Presence>,
    /// How the round ended.
    pub(crate) exit: Option<Exit>,
    /// Why it cannot be run here.
    pub(crate) trouble: Option<Trouble>,
    /// Why it is to end.
    pub(crate) stop: Option<Stop>,
    /// The coordinator wants nothing of it any more.
    pub(crate) forgotten: bool,
    /// Every report was acknowledged, and the log is at the coordinator.
    pub(crate) delivered: bool,
}

/// Why a worker is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stop {
    /// The coordinator asked for it.
    #[serde(rename = "told")]
    Requested(String),
    /// It shows no sign of life.
    Hung(String),
}

impl Stop {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Requested(reason) | Self::Hung(reason) => reason,
        }
    }
}

/// Why a worker cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The outpost's: the item is not charged with a failure.
    Outpost(String),
    /// The assignment's own.
    Assignment(String),
}

/// How a round came to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RoundEnd {
    /// The shim has said how.
    Exited(Exit),
    /// There is no record of how.
    Vanished(String),
    /// Nobody can tell what it has left: by its own doing.
    Unreadable(String),
    /// It never ran.
    NotRun(Trouble),
    /// It was stopped before it ran.
    NeverStarted,
}

/// The one step to take next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Write the assignment down and tell.
    Accept,
    /// Make the workspace and the plan.
    Prepare,
    /// Start the session.
    Start,
    TellStarted,
    TellExited(Option<i32>),
    /// Save the work and tell the end.
    Finish(RoundEnd),
    /// Make it end.
    End,
    /// Nothing, until something changes.
    Wait,
    /// Remove it from the disk.
    Remove,
}

/// Decides what to do next.
pub(crate) fn next(facts: &Facts) -> Next {
    match facts.phase {
        Phase::New => return Next::Accept,
        Phase::Finished if facts.forgotten && facts.delivered => return Next::Remove,
        Phase::Finished => return Next::Wait,
        Phase::Accepted | Phase::Started | Phase::Exited => {}
    }
    if let Some(exit) = &facts.exit {
        return match facts.phase {
            Phase::Exited => Next::Finish(RoundEnd::Exited(exit.clone())),
            Phase::Started => Next::TellExited(exit.code),
            Phase::New | Phase::Accepted | Phase::Finished => Next::TellStarted,
        };
    }
    match (facts.session, facts.shim) {
        (Some(Presence::Alive), _) if facts.phase == Phase::Accepted => Next::TellStarted,
        // A shim without a terminal ends by itself and says how.
        (Some(Presence::Alive), _) | (Some(Presence::Gone) | None, Shim::Alive) => {
            if facts.stop.is_some() {
                Next::End
            } else {
                Next::Wait
            }
        }
        (Some(Presence::Unknown), _) => Next::Wait,
        (Some(Presence::Gone) | None, Shim::Gone) => {
            Next::Finish(RoundEnd::Vanished("its terminal and its command are gone".to_owned()))
        }
        (Some(Presence::Gone) | None, Shim::NotBegun) => not_begun(facts),
    }
}

fn not_begun(facts: &Facts) -> Next {
    if facts.stop.is_some() {
        return Next::Finish(RoundEnd::NeverStarted);
    }
    if let Some(trouble) = &facts.trouble {
        return Next::Finish(RoundEnd::NotRun(trouble.clone()));
    }
    match facts.launch {
        Launch::Unprepared => Next::Prepare,
        Launch::Planned => Next::Start,
        Launch::Launched => Next::Finish(RoundEnd::Vanished("its terminal ended before its command began".to_owned())),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
