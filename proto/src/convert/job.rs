use sprint_core::ids::{Attempt, CommitId, ItemId, TrialId};
use sprint_core::job::{AttemptJob, EarlierWork, GateJob, Job};

use super::{Malformed, required};
use crate::v1;

impl v1::Job {
    /// The attempt that it is, if it is one.
    pub fn attempt(&self) -> Option<&v1::AttemptJob> {
        match self.kind.as_ref()? {
            v1::job::Kind::Attempt(job) => Some(job),
            v1::job::Kind::Gate(_) => None,
        }
    }
}

impl From<Job> for v1::Job {
    fn from(job: Job) -> Self {
        let kind = match job {
            Job::Attempt(AttemptJob { item, attempt, role }) => v1::job::Kind::Attempt(v1::AttemptJob {
                item: item.get(),
                attempt: attempt.get(),
                role: role.to_string(),
            }),
            Job::Gate(GateJob { trial, gate }) => v1::job::Kind::Gate(v1::GateJob { trial: trial.get(), gate }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Job> for Job {
    type Error = Malformed;

    fn try_from(v1::Job { kind }: v1::Job) -> Result<Self, Malformed> {
        Ok(match required(kind, "the kind of the job")? {
            v1::job::Kind::Attempt(v1::AttemptJob { item, attempt, role }) => Self::Attempt(AttemptJob {
                item: ItemId::new(item),
                attempt: Attempt::new(attempt),
                role: role.parse()?,
            }),
            v1::job::Kind::Gate(v1::GateJob { trial, gate }) => {
                Self::Gate(GateJob { trial: TrialId::new(trial), gate })
            }
        })
    }
}

impl From<EarlierWork> for v1::Resumed {
    fn from(resumed: EarlierWork) -> Self {
        let EarlierWork { attempt, commit, uncommitted, from_ref } = resumed;
        Self { attempt: attempt.get(), commit: commit.into(), uncommitted: uncommitted.map(Into::into), from_ref }
    }
}

impl TryFrom<v1::Resumed> for EarlierWork {
    type Error = Malformed;

    fn try_from(resumed: v1::Resumed) -> Result<Self, Malformed> {
        let v1::Resumed { attempt, commit, uncommitted, from_ref } = resumed;
        Ok(Self {
            attempt: Attempt::new(attempt),
            commit: CommitId::new(commit)?,
            uncommitted: uncommitted.map(CommitId::new).transpose()?,
            from_ref,
        })
    }
}
