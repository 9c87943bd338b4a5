use sprint_core::attempt_ref::Kept;
use sprint_core::ids::{Attempt, CommitId};

use super::Malformed;
use crate::v1;

impl From<Kept> for v1::Kept {
    fn from(kept: Kept) -> Self {
        let Kept { attempt, kind, label, late, name, commit } = kept;
        Self { attempt: attempt.get(), kind: kind.to_string(), label, late, name, commit: commit.into() }
    }
}

impl TryFrom<v1::Kept> for Kept {
    type Error = Malformed;

    fn try_from(kept: v1::Kept) -> Result<Self, Malformed> {
        let v1::Kept { attempt, kind, label, late, name, commit } = kept;
        let (attempt, kind, commit) = (Attempt::new(attempt), kind.parse()?, CommitId::new(commit)?);
        Ok(Self { attempt, kind, label, late, name, commit })
    }
}
