use sprint_core::attempt_ref::Kept;
use sprint_core::ids::{Attempt, CommitId};

use super::Malformed;
use crate::v1;

impl From<Kept> for v1::Kept {
    fn from(kept: Kept) -> Self {
        let Kept { attempt, kind, late, name, commit } = kept;
        Self { attempt: attempt.get(), kind: kind.to_string(), late, name, commit: commit.into() }
    }
}

impl TryFrom<v1::Kept> for Kept {
    type Error = Malformed;

    fn try_from(kept: v1::Kept) -> Result<Self, Malformed> {
        let v1::Kept { attempt, kind, late, name, commit } = kept;
        Ok(Self { attempt: Attempt::new(attempt), kind: kind.parse()?, late, name, commit: CommitId::new(commit)? })
    }
}
