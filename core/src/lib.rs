//! The decisions of Sprint: pure, synchronous, without I/O, clock or randomness.
//!
//! Every state machine is one total function over state × event; `now` and
//! identifiers are arguments. What must happen outside is returned as data.

pub mod access;
pub mod act;
pub mod address;
pub mod assignment;
pub mod attempt_ref;
pub mod change;
pub mod check;
pub mod clock;
pub mod config;
pub mod conflict;
pub mod event;
pub mod explain;
#[cfg(any(test, feature = "testing"))]
pub mod fixtures;
pub mod footprint;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod gates;
pub mod ids;
pub mod item;
pub mod job;
pub mod landing;
pub mod merge_queue;
pub mod needs;
pub mod outpost;
pub mod pipeline;
pub mod prompt;
pub mod refusal;
pub mod repo;
pub mod schedule;
pub mod status;
pub mod text;
pub mod time;
pub mod token;
pub mod trial;
pub mod upcast;
pub mod view;
pub mod worker;

use thiserror::Error;

/// Why a state machine did not take an event; the entity is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The current state has no meaning for this event.
    #[error("{entity} in state {state} does not accept {event}")]
    Illegal { entity: &'static str, state: &'static str, event: &'static str },
    /// The event speaks for an attempt that is no longer the live one.
    #[error("attempt {carried} is not the live attempt {live}; its work is kept under its refs")]
    StaleAttempt { carried: ids::Attempt, live: ids::Attempt },
}

impl Refused {
    /// The code of the refusal.
    pub const fn code(&self) -> refusal::Code {
        match self {
            Self::Illegal { .. } => refusal::Code::StateNotAllowed,
            Self::StaleAttempt { .. } => refusal::Code::AttemptStale,
        }
    }
}
