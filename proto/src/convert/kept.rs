use std::time::Duration;

use sprint_core::attempt_ref::Kept;
use sprint_core::ids::{Attempt, CommitId};
use sprint_core::retention::{KeptWork, Term};

use super::{Malformed, millis, time, time_ms};
use crate::v1;

impl From<KeptWork> for v1::KeptList {
    fn from(work: KeptWork) -> Self {
        let KeptWork { kept, term } = work;
        let (until, is_past, keep) = match term {
            Term::Open => (None, false, Duration::ZERO),
            Term::Until { time, keep } => (Some(time), false, keep),
            Term::Past { time, keep } => (Some(time), true, keep),
        };
        let kept = kept.into_iter().map(Into::into).collect();
        Self { kept, until_ms: time_ms(until), is_past, keep_ms: millis(keep) }
    }
}

impl TryFrom<v1::KeptList> for KeptWork {
    type Error = Malformed;

    fn try_from(list: v1::KeptList) -> Result<Self, Malformed> {
        let v1::KeptList { kept, until_ms, is_past, keep_ms } = list;
        let keep = Duration::from_millis(keep_ms);
        let term = match time(until_ms) {
            None => Term::Open,
            Some(time) if is_past => Term::Past { time, keep },
            Some(time) => Term::Until { time, keep },
        };
        Ok(Self { kept: kept.into_iter().map(Kept::try_from).collect::<Result<_, _>>()?, term })
    }
}

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

#[cfg(test)]
mod tests {
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn for_how_long_work_is_kept_survives_the_wire() {
        let (time, keep) = (Timestamp::from_millis(1_763_700_000_000), Duration::from_hours(24 * 30));
        for term in [Term::Open, Term::Until { time, keep }, Term::Past { time, keep }] {
            let work = KeptWork { kept: vec![], term };
            assert_eq!(KeptWork::try_from(v1::KeptList::from(work.clone())).expect("is read"), work);
        }
    }
}
