//! What a worker needs next, decided from what is known of it; no I/O.
//!
//! The decision is made anew each time, so that an agent that starts in the
//! middle of a worker's life goes on where the one before it ended.

use crate::shim::plan::Exit;
use crate::tmux::Presence;

/// What the disk, tmux and the coordinator say of a worker.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "observations, independent of each other")]
pub(crate) struct Facts {
    // Told to the coordinator, in this round where a round matters.
    pub(crate) accepted: bool,
    pub(crate) started: bool,
    pub(crate) exited: bool,
    pub(crate) finished: bool,
    /// The round's plan is on disk: its workspace is ready.
    pub(crate) planned: bool,
    /// The round's session was started by this run of the agent.
    pub(crate) launched: bool,
    /// The round's shim has begun; a round begins once.
    pub(crate) begun: bool,
    /// The round's shim is alive.
    pub(crate) shim_alive: bool,
    pub(crate) session: Option<Presence>,
    /// How the round ended.
    pub(crate) exit: Option<Exit>,
    /// Why it cannot be run here.
    pub(crate) trouble: Option<Trouble>,
    /// Why the coordinator wants it to end.
    pub(crate) stop: Option<String>,
    /// The coordinator wants nothing of it any more.
    pub(crate) forgotten: bool,
    /// Every report was acknowledged, and the log is at the coordinator.
    pub(crate) delivered: bool,
}

/// Why a worker cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The outpost's: nobody is blamed.
    Outpost(String),
    /// The assignment's own.
    Assignment(String),
}

/// How a round came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The shim has said how.
    Exited(Exit),
    /// Nobody can say how.
    Vanished(String),
    /// It never ran.
    NotRun(Trouble),
    /// It was stopped before it ran.
    NeverStarted,
}

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    Finish(Ended),
    /// Make it end: the coordinator said so.
    End,
    /// Nothing, until something changes.
    Wait,
    /// Remove it from the disk.
    Remove,
}

/// Decides.
pub(crate) fn next(facts: &Facts) -> Next {
    if facts.finished {
        return if facts.forgotten && facts.delivered { Next::Remove } else { Next::Wait };
    }
    if !facts.accepted {
        return Next::Accept;
    }
    if let Some(exit) = &facts.exit {
        return if !facts.started {
            Next::TellStarted
        } else if !facts.exited {
            Next::TellExited(exit.exit_code)
        } else {
            Next::Finish(Ended::Exited(exit.clone()))
        };
    }
    match facts.session {
        Some(Presence::Alive) => running(facts),
        Some(Presence::Unknown) => Next::Wait,
        Some(Presence::Gone) | None if facts.begun => {
            if facts.shim_alive {
                // Its terminal is gone: it ends by itself and says how.
                if facts.stop.is_some() { Next::End } else { Next::Wait }
            } else {
                Next::Finish(Ended::Vanished("its terminal and its command are gone".to_owned()))
            }
        }
        Some(Presence::Gone) | None => not_begun(facts),
    }
}

fn running(facts: &Facts) -> Next {
    if !facts.started {
        Next::TellStarted
    } else if facts.stop.is_some() {
        Next::End
    } else {
        Next::Wait
    }
}

fn not_begun(facts: &Facts) -> Next {
    if facts.stop.is_some() {
        Next::Finish(Ended::NeverStarted)
    } else if let Some(trouble) = &facts.trouble {
        Next::Finish(Ended::NotRun(trouble.clone()))
    } else if facts.launched {
        Next::Finish(Ended::Vanished("its terminal ended before its command began".to_owned()))
    } else if facts.planned {
        Next::Start
    } else {
        Next::Prepare
    }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
