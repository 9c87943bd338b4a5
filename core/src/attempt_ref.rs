//! The refs of one attempt: what the coordinator keeps of it, whatever becomes of it.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::ids::{Attempt, CommitId, ItemId, late_ref, left_ref, wip_ref, work_ref};

crate::words! {
    /// What a ref of an attempt holds.
    pub enum RefKind as "kind of ref" {
        /// Its commits.
        Work => "work",
        /// What it had not committed.
        Wip => "wip",
        /// What its repository held besides: other branches, stashes, other worktrees, nested repositories.
        Left => "left",
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
    /// Which of the things that it left; none for its commits and what it had not committed.
    pub label: Option<Label>,
    /// For the work of an attempt that was over when it came.
    pub late: bool,
}

impl AttemptRef {
    pub fn name(&self) -> String {
        let name = match (self.kind, &self.label) {
            (RefKind::Work, _) => work_ref(self.item, self.attempt),
            (RefKind::Wip, _) => wip_ref(self.item, self.attempt),
            (RefKind::Left, label) => left_ref(self.item, self.attempt, label.as_ref().map_or("", Label::as_str)),
        };
        if self.late { late_ref(&name) } else { name }
    }

    /// Reads a ref's name: exactly as we write it, or not at all.
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("refs/sprint/")?;
        let (late, rest) = rest.strip_prefix("late/").map_or((false, rest), |rest| (true, rest));
        let mut parts = rest.splitn(4, '/');
        let (kind, item, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let label = parts.next().map(|label| Label::parse(label).ok_or(())).transpose().ok()?;
        let item = ItemId::new(item.parse().ok()?);
        let attempt = Attempt::new(attempt.parse().ok()?);
        let read = Self { item, attempt, kind: kind.parse().ok()?, label, late };
        (read.label.is_some() == (read.kind == RefKind::Left) && read.name() == name).then_some(read)
    }
}

/// The longest label; a name of which a longer one would come is numbered instead.
const LONGEST_LABEL: usize = 200;

/// What one of the things is that an attempt left, as the end of a ref's name: `heads/topic`, `stash/0`,
/// `nested/lib/heads/main`. Letters, digits, `-`, `_` and dots stand for themselves, all else as `%XX`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(String);

impl Label {
    /// Makes a label of parts that may be any bytes; none when it would be too long, or a part is empty.
    pub fn of(parts: &[&[u8]]) -> Option<Self> {
        let parts: Vec<_> = parts.iter().map(|part| encode(part)).collect();
        Self::parse(&parts.join("/"))
    }

    /// Reads a label: exactly as we write it, or not at all.
    pub fn parse(text: &str) -> Option<Self> {
        let is_written_so = |part: &str| !part.is_empty() && decode(part).is_some_and(|bytes| encode(&bytes) == part);
        (text.len() <= LONGEST_LABEL && text.split('/').all(is_written_so)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its parts stand for.
    pub fn parts(&self) -> Vec<Vec<u8>> {
        self.0.split('/').filter_map(decode).collect()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// A text as one part of a label. A dot stands for itself between two plain letters only, and never before `lock`.
fn encode(part: &[u8]) -> String {
    let is_inner_dot = |at: usize| {
        let around = at.checked_sub(1).and_then(|before| Some((part.get(before)?, part.get(at + 1)?)));
        around.is_some_and(|(before, after)| is_plain(*before) && is_plain(*after)) && part[at + 1..] != *b"lock"
    };
    let mut text = String::new();
    for (at, byte) in part.iter().enumerate() {
        if is_plain(*byte) || (*byte == b'.' && is_inner_dot(at)) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").ok();
        }
    }
    text
}

fn decode(part: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (hex, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

/// A ref of an attempt that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub attempt: Attempt,
    pub kind: RefKind,
    /// Which of the things that it left, of kind `left`.
    pub label: Option<String>,
    pub late: bool,
    pub name: String,
    pub commit: CommitId,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::{bytes, texts};

    #[test]
    fn a_ref_is_read_only_as_it_is_written() {
        let read = AttemptRef::parse("refs/sprint/work/7/2").expect("is read");
        let (item, attempt) = (ItemId::new(7), Attempt::new(2));
        let written = AttemptRef { item, attempt, kind: RefKind::Work, label: None, late: false };
        assert_eq!(read, written);
        let label = Label::parse("nested/lib%2Fzlib/heads/v1.2").expect("is read");
        let written = AttemptRef { kind: RefKind::Left, label: Some(label), ..written };
        assert_eq!(written.name(), "refs/sprint/left/7/2/nested/lib%2Fzlib/heads/v1.2");
        assert_eq!(AttemptRef::parse(&written.name()), Some(written));
        assert!(AttemptRef::parse("refs/sprint/late/wip/7/2").expect("is read").late);
        for bad in [
            "refs/heads/main",
            "refs/sprint/work/7",
            "refs/sprint/work/7/2/3",
            "refs/sprint/work/7/2/",
            "refs/sprint/left/7/2",
            "refs/sprint/left/7/2/",
            "refs/sprint/left/7/2/heads//a",
            "refs/sprint/left/7/2/heads/../../../../heads/main",
            "refs/sprint/left/7/2/heads/a.lock",
            "refs/sprint/left/7/2/heads/.a",
            "refs/sprint/left/7/2/heads/a..b",
            "refs/sprint/left/7/2/heads/a%",
            "refs/sprint/left/7/2/heads/a%2f",
            "refs/sprint/left/7/2/heads/%61",
            "refs/sprint/left/7/2/heads/é",
            "refs/sprint/left/7/2/heads/a b",
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

    fn name_ends_with_lock(part: &str) -> bool {
        part.rsplit('.').next() == Some("lock") && part.contains('.')
    }

    proptest! {
        #[test]
        fn fuzz_a_ref_is_read_only_as_it_is_written(
            name in texts(&[
                "refs/sprint/work/7/2",
                "refs/sprint/wip/7/2",
                "refs/sprint/late/work/12/3",
                "refs/sprint/left/7/2/nested/a%2Fb/stash/0",
            ])
        ) {
            if let Some(read) = AttemptRef::parse(&name) {
                prop_assert_eq!(read.name(), name);
            }
        }

        /// Whatever a worker calls a branch or a directory, git takes its label as part of a ref.
        #[test]
        fn fuzz_any_name_makes_a_label_that_git_takes(name in bytes(vec![b"topic".to_vec(), b"v1.lock".to_vec()])) {
            let label = Label::of(&[b"heads", &name]);
            prop_assert_eq!(label.is_some(), !name.is_empty() && encode(&name).len() + 6 <= LONGEST_LABEL);
            if let Some(label) = label {
                let part = &label.as_str()[6..];
                prop_assert_eq!(decode(part), Some(name));
                prop_assert!(!part.contains("..") && !part.starts_with('.') && !part.ends_with('.'), "{}", part);
                prop_assert!(!name_ends_with_lock(part), "{}", part);
                prop_assert!(part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.%".contains(&byte)), "{}", part);
            }
        }
    }
}
