//! Why a workspace could not be made.

use std::io;

use sprint_core::ids::{Attempt, CommitId};
use thiserror::Error;

use super::git::GitError;
use crate::host::disk;

/// Why a workspace could not be made; none of these is the worker's fault.
#[derive(Debug, Error)]
pub(crate) enum PrepareError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Git(#[from] GitError),
    #[error("commit {commit} is not in the coordinator's repository: {from} does not reach it")]
    CommitMissing { commit: CommitId, from: String },
    #[error(
        "this host has no git-lfs, which files of the repo need; install it here (Debian: apt-get install git-lfs)"
    )]
    NoLfs,
    #[error("the work of attempt {attempt} cannot be restored: {why}")]
    Resume { attempt: Attempt, why: Box<Self> },
}

impl PrepareError {
    pub(crate) fn says_full(&self) -> bool {
        match self {
            Self::Io(error) => disk::says_full(error),
            Self::Git(error) => error.says_full(),
            Self::CommitMissing { .. } | Self::NoLfs => false,
            Self::Resume { attempt: _, why } => why.says_full(),
        }
    }
}
