//! Why a state machine did not take an event.

use thiserror::Error;

use crate::ids::Attempt;
use crate::refusal::Code;

/// Why a state machine did not take an event; the entity is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The current state has no meaning for this event.
    #[error("{entity} in state {state} does not accept {event}")]
    Illegal { entity: &'static str, state: &'static str, event: &'static str },
    /// The event speaks for an attempt that is no longer the live one.
    #[error("attempt {carried} is not the live attempt {live}; its work is kept under its refs")]
    StaleAttempt { carried: Attempt, live: Attempt },
}

impl Refused {
    /// The code of the refusal.
    pub const fn code(&self) -> Code {
        match self {
            Self::Illegal { .. } => Code::StateNotAllowed,
            Self::StaleAttempt { .. } => Code::AttemptStale,
        }
    }
}
