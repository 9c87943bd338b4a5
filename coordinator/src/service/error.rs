//! Why a use case was not carried out, in the form *what; why; what to do*.

use std::fmt::Display;

use sprint_core::Refused;
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, TrialId, WorkerId};
use sprint_core::token::TokenRefused;
use sprint_identity::key::KeyError;
use thiserror::Error;

use crate::git::GitError;
use crate::store::StoreError;

/// Why a use case was not carried out; nothing was changed.
#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Precondition(String),
    #[error("{0}")]
    Exists(String),
    /// Nobody knows who calls.
    #[error("{0}")]
    Unauthenticated(String),
    /// It is known who calls, and they may not.
    #[error("{0}")]
    Forbidden(String),
    /// Too much was asked for at once.
    #[error("{0}")]
    Exhausted(String),
    #[error("report {seq} of worker {worker} came, and {expected} was expected; send all again, in order")]
    OutOfOrder { worker: WorkerId, seq: u64, expected: u64 },
    #[error(transparent)]
    Token(#[from] TokenRefused),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log files failed: {0}")]
    Io(#[from] std::io::Error),
}

/// What kind of failure it is, for a face to map to its own words once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    Invalid,
    Precondition,
    Exists,
    Unauthenticated,
    Forbidden,
    Exhausted,
    Unavailable,
    /// It can be tried again from the beginning.
    Aborted,
    Internal,
}

impl ServiceError {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Invalid(_) | Self::Key(_) => Kind::Invalid,
            Self::Precondition(_)
            | Self::Refused(_)
            | Self::Git(
                GitError::Unreachable { .. } | GitError::Empty { .. } | GitError::NoBranch { .. } | GitError::NoTip(_),
            ) => Kind::Precondition,
            Self::Exists(_) => Kind::Exists,
            Self::Unauthenticated(_) | Self::Token(_) => Kind::Unauthenticated,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::Exhausted(_) => Kind::Exhausted,
            Self::OutOfOrder { .. } => Kind::Aborted,
            Self::Store(StoreError::NotEmpty) => Kind::Precondition,
            Self::Store(StoreError::Closed) => Kind::Unavailable,
            Self::Git(_) | Self::Store(_) | Self::Io(_) => Kind::Internal,
        }
    }

    pub fn no_repo(name: &RepoName) -> Self {
        Self::NotFound(format!("there is no repo \"{name}\"; see: sprintctl repo list"))
    }

    pub fn no_item(id: ItemId) -> Self {
        Self::NotFound(format!("there is no item {id}; see: sprintctl item list"))
    }

    pub fn no_worker(id: WorkerId) -> Self {
        Self::NotFound(format!("there is no worker {id}; see: sprintctl worker list --all"))
    }

    pub fn no_change(id: ChangeId) -> Self {
        Self::NotFound(format!("there is no change {id}; see: sprintctl change list --all"))
    }

    pub fn no_trial(id: TrialId) -> Self {
        Self::NotFound(format!("there is no trial {id}; see: sprintctl change graph"))
    }

    pub fn no_outpost(name: &OutpostName) -> Self {
        Self::NotFound(format!("there is no outpost \"{name}\"; see: sprintctl outpost list"))
    }

    pub fn invalid(why: impl Display) -> Self {
        Self::Invalid(why.to_string())
    }
}
