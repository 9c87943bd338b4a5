//! Why a request was refused, as a value: a stable code, what happened, where in the input, and what to do next.

mod code;

use std::fmt;

use thiserror::Error;

use crate::act::Act;
pub use code::{Code, NotFound, Noun};

crate::words! {
    /// What kind of failure it is; each face maps it to its transport's status once.
    pub enum Kind as "kind of failure" {
        NotFound => "not_found",
        Invalid => "invalid",
        /// The present state does not allow it.
        Precondition => "precondition",
        Exists => "exists",
        /// The caller is not authenticated.
        Unauthenticated => "unauthenticated",
        /// The caller is authenticated and lacks the permission.
        Forbidden => "forbidden",
        /// A limit was exceeded.
        Exhausted => "exhausted",
        Unavailable => "unavailable",
        /// It can be tried again from the beginning.
        Aborted => "aborted",
        TimedOut => "timed_out",
        Unimplemented => "unimplemented",
        Internal => "internal",
    }
}

/// The place in the input that a refusal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A line of a file or an entry of a list, counted from 1.
    Line(u64),
    Field(String),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Field(name) => f.write_str(name),
        }
    }
}

/// Why a request was refused. Its text is the message alone: place and next act are for the face to word.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: Code,
    /// *What; why*, in lower case, without a command.
    pub message: String,
    pub at: Option<At>,
    pub next: Option<Act>,
}

impl Refusal {
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), at: None, next: None }
    }

    /// Names the place in the input.
    #[must_use]
    pub fn at(self, at: At) -> Self {
        Self { at: Some(at), ..self }
    }

    /// Names the field of the input.
    #[must_use]
    pub fn field(self, name: &str) -> Self {
        self.at(At::Field(name.to_owned()))
    }

    /// Names what to do next.
    #[must_use]
    pub fn next(self, act: Act) -> Self {
        Self { next: Some(act), ..self }
    }

    pub const fn kind(&self) -> Kind {
        self.code.kind()
    }
}
