//! The refs of one attempt: what the coordinator keeps of it, whatever becomes of it.

use serde::Serialize;

use crate::ids::{Attempt, CommitId, ItemId, late_ref, wip_ref, work_ref};

crate::words! {
    /// What a ref of an attempt holds.
    pub enum RefKind as "kind of ref" {
        /// Its commits.
        Work => "work",
        /// What it had not committed.
        Wip => "wip",
    }
}

/// The message of a commit that holds what was not committed.
pub const SNAPSHOT_MESSAGE: &str = "Uncommitted work, as the worker left it";

/// A ref of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRef {
    pub item: ItemId,
    pub attempt: Attempt,
    pub kind: RefKind,
    /// For the work of an attempt that was over when it came.
    pub late: bool,
}

impl AttemptRef {
    pub fn name(&self) -> String {
        let name = match self.kind {
            RefKind::Work => work_ref(self.item, self.attempt),
            RefKind::Wip => wip_ref(self.item, self.attempt),
        };
        if self.late { late_ref(&name) } else { name }
    }

    /// Reads a ref's name: exactly as we write it, or not at all.
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("refs/sprint/")?;
        let (late, rest) = rest.strip_prefix("late/").map_or((false, rest), |rest| (true, rest));
        let mut parts = rest.splitn(3, '/');
        let (kind, item, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let item = ItemId::new(item.parse().ok()?);
        let attempt = Attempt::new(attempt.parse().ok()?);
        let read = Self { item, attempt, kind: kind.parse().ok()?, late };
        (read.name() == name).then_some(read)
    }
}

/// A ref of an attempt that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub attempt: Attempt,
    pub kind: RefKind,
    pub late: bool,
    pub name: String,
    pub commit: CommitId,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::texts;

    #[test]
    fn a_ref_is_read_only_as_it_is_written() {
        let read = AttemptRef::parse("refs/sprint/work/7/2").expect("is read");
        let written = AttemptRef { item: ItemId::new(7), attempt: Attempt::new(2), kind: RefKind::Work, late: false };
        assert_eq!(read, written);
        assert!(AttemptRef::parse("refs/sprint/late/wip/7/2").expect("is read").late);
        for bad in [
            "refs/heads/main",
            "refs/sprint/work/7",
            "refs/sprint/work/7/2/3",
            "refs/sprint/work/07/2",
            "refs/sprint/work/+7/2",
            "refs/sprint/work/7/2 ",
            "refs/sprint/work/7/../8/1",
            "refs/sprint/../heads/main",
            "refs/sprint/work//2",
            "refs/sprint/candidate/1/1",
            "refs/sprint/late/late/work/7/2",
            "refs/sprint/work/７/2",
            "refs/sprint/work/18446744073709551616/1",
            "REFS/sprint/work/7/2",
        ] {
            assert_eq!(AttemptRef::parse(bad), None, "{bad:?} must be refused");
        }
    }

    proptest! {
        #[test]
        fn fuzz_a_ref_is_read_only_as_it_is_written(
            name in texts(&["refs/sprint/work/7/2", "refs/sprint/wip/7/2", "refs/sprint/late/work/12/3"])
        ) {
            if let Some(read) = AttemptRef::parse(&name) {
                prop_assert_eq!(read.name(), name);
            }
        }
    }
}
