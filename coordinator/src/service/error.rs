//! Why a use case was not carried out.

use std::fmt::Display;

use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::ids::{OutpostName, RepoName, WorkerId};
use sprint_core::outpost::Outpost;
pub use sprint_core::refusal::Kind;
use sprint_core::refusal::{At, Code, Noun as _, Refusal};
use sprint_core::repo::Repo;
use sprint_core::token::TokenRefused;
use sprint_identity::key::KeyError;
use thiserror::Error;

use crate::git::GitError;
use crate::store::StoreError;

/// Why a use case was not carried out; nothing was changed, unless the store says that this is unknown.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// A rule of the use case refused it.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error("report {seq} of worker {worker} arrived, and {expected} was expected; send all again, in order")]
    OutOfOrder { worker: WorkerId, seq: u64, expected: u64 },
    #[error(transparent)]
    Token(#[from] TokenRefused),
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A state machine refused the event.
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log files failed: {0}")]
    Io(#[from] std::io::Error),
}

impl ServiceError {
    pub fn new(code: Code, message: impl Display) -> Self {
        Refusal::new(code, message).into()
    }

    /// A request that makes no sense.
    pub fn invalid(why: impl Display) -> Self {
        Self::new(Code::RequestInvalid, why)
    }

    pub fn code(&self) -> Code {
        match self {
            Self::Refusal(refusal) => refusal.code,
            Self::OutOfOrder { .. } => Code::ReportOutOfOrder,
            Self::Token(refused) => refused.code(),
            Self::Key(_) => Code::KeyInvalid,
            Self::Refused(refused) => refused.code(),
            Self::Git(error) => code_of_git(error),
            Self::Store(error) => code_of_store(error),
            Self::Io(_) => Code::IoFailed,
        }
    }

    pub fn kind(&self) -> Kind {
        self.code().kind()
    }

    /// The whole refusal, for a face to encode.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refusal(refusal) => refusal.clone(),
            Self::Token(refused) => Refusal { next: refused.next(), ..Refusal::new(refused.code(), refused) },
            Self::OutOfOrder { .. } | Self::Key(_) | Self::Refused(_) | Self::Git(_) | Self::Store(_) | Self::Io(_) => {
                Refusal::new(self.code(), self)
            }
        }
    }

    /// Names the entry of a list, or the line of a file, that the refusal is about.
    #[must_use]
    pub fn at_line(self, line: u64) -> Self {
        if let Self::Refusal(refusal) = self { refusal.at(At::Line(line)).into() } else { self }
    }

    /// What ends everything that follows or waits.
    pub fn stopping() -> Self {
        Self::new(Code::CoordinatorStopping, "the coordinator is shutting down")
    }

    pub fn no_repo(name: &RepoName) -> Self {
        Refusal::new(Repo::NOT_FOUND, format!("there is no repo \"{name}\"")).next(Act::ListRepos).into()
    }

    pub fn no_outpost(name: &OutpostName) -> Self {
        Refusal::new(Outpost::NOT_FOUND, format!("there is no outpost \"{name}\"")).next(Act::ListOutposts).into()
    }
}

const fn code_of_git(error: &GitError) -> Code {
    match error {
        GitError::Unreachable { .. } => Code::UpstreamUnreachable,
        GitError::Empty { .. } => Code::UpstreamEmpty,
        GitError::Shallow { .. } | GitError::ObjectFormat { .. } => Code::UpstreamUnsupported,
        GitError::NoBranch { .. } => Code::UpstreamNoBranch,
        GitError::NoTip(_) => Code::BranchNotFound,
        // The only file that is read.
        GitError::NoFile(_) | GitError::LongFile(_) => Code::ConfigInvalid,
        GitError::Beyond { .. } => Code::ChangeTooLarge,
        GitError::NoProgram(_)
        | GitError::TooOld { .. }
        | GitError::Failed { .. }
        | GitError::TimedOut { .. }
        | GitError::Library(_)
        | GitError::Missing(_)
        | GitError::Signing { .. }
        | GitError::TooHard(_)
        | GitError::MergeTree(_)
        | GitError::Io(_) => Code::GitFailed,
    }
}

const fn code_of_store(error: &StoreError) -> Code {
    match error {
        StoreError::NotEmpty => Code::StoreNotEmpty,
        StoreError::Closed => Code::CoordinatorStopping,
        StoreError::Unavailable(_) => Code::StoreUnavailable,
        StoreError::Unknown(_) => Code::StoreUnknownOutcome,
        StoreError::CommitFailed(_) => Code::StoreNotCommitted,
        StoreError::Database(_)
        | StoreError::Migration(_)
        | StoreError::TooNew { .. }
        | StoreError::InUse { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Thread(_) => Code::StoreFailed,
    }
}
