//! Typed identifiers: numbers that people can type, and names that are safe everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A text that cannot be the identifier it was given as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{given}\" is not {what}: {rule}")]
pub struct InvalidId {
    pub what: &'static str,
    pub given: String,
    pub rule: &'static str,
}

/// Defines a number that is an identifier, and what people call it.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0.to_string())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text.strip_prefix('#').unwrap_or(text);
                digits.parse::<u64>().ok().filter(|number| *number > 0 && i64::try_from(*number).is_ok()).map(Self).ok_or_else(|| $crate::ids::InvalidId {
                    what: $what,
                    given: text.chars().take(80).collect(),
                    rule: "it is a whole number from 1 on, as the list commands print it",
                })
            }
        }
    };
}

pub(crate) use number;

number!(
    /// An item's number, unique in one coordinator and ascending with age.
    ItemId, "an item id"
);
number!(
    /// A worker's number, unique in one coordinator.
    WorkerId, "a worker id"
);
number!(
    /// A change's number, unique in one coordinator.
    ChangeId, "a change id"
);
number!(
    /// A trial's number, unique in one coordinator.
    TrialId, "a trial id"
);

/// The n-th try at an item, from 1; the fencing token. 0 is "not tried yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(u32);

impl Attempt {
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    pub const fn get(self) -> u32 {
        self.0
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const NAME_RULE: &str = "use 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or a digit, without \"..\" and not ending in \".git\", \".lock\" or '.'";

fn valid_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ending = [".git", ".lock", "."].iter().any(|end| text.ends_with(end));
    (1..=63).contains(&bytes.len())
        && plain(bytes[0])
        && bytes.iter().all(|byte| plain(*byte) || b"._-".contains(byte))
        && !text.contains("..")
        && !ending
}

const COMMIT_RULE: &str = "it is a full object name: 40 or 64 hexadecimal digits";

pub(crate) fn hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn valid_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && hexadecimal(text)
}

pub(crate) const SHA256_RULE: &str = "it is 64 hexadecimal digits";

pub(crate) fn valid_sha256(text: &str) -> bool {
    text.len() == 64 && hexadecimal(text)
}

/// Defines a text that is an identifier, what people call it, and which texts are one.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal, $valid:ident, $rule:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// [`InvalidId`](crate::ids::InvalidId) when the text breaks the rule that the error states.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::ids::InvalidId> {
                let text = text.into();
                if $valid(&text) {
                    Ok(Self(text))
                } else {
                    Err($crate::ids::InvalidId { what: $what, given: text.chars().take(80).collect(), rule: $rule })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

pub(crate) use name;

name!(
    /// The name of a repo: also a directory and part of an address.
    RepoName, "a repo name", valid_name, NAME_RULE
);
name!(
    /// The name of an outpost.
    OutpostName, "an outpost name", valid_name, NAME_RULE
);
name!(
    /// The name that a person is known by in the record.
    PersonName, "a person's name", valid_name, NAME_RULE
);
name!(
    /// The name of a coordinator and the credentials for it, on a person's own machine.
    ContextName, "a context's name", valid_name, NAME_RULE
);
name!(
    /// The SHA-256 of a certificate, as its owner tells it to others.
    Fingerprint, "a fingerprint", valid_sha256, SHA256_RULE
);
name!(
    /// The SHA-256 of a public key (its `SubjectPublicKeyInfo`): who its holder is.
    KeyId, "a key id", valid_sha256, SHA256_RULE
);
name!(
    /// A git commit's full object name.
    CommitId, "a commit", valid_object, COMMIT_RULE
);
name!(
    /// A git tree's full object name.
    TreeId, "a tree", valid_object, COMMIT_RULE
);

impl CommitId {
    /// The first ten digits, as people read it.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

/// The ref that holds the commits of one attempt.
pub fn work_ref(item: ItemId, attempt: Attempt) -> String {
    format!("refs/sprint/work/{item}/{attempt}")
}

/// The ref that holds what one attempt left uncommitted.
pub fn wip_ref(item: ItemId, attempt: Attempt) -> String {
    format!("refs/sprint/wip/{item}/{attempt}")
}

/// The ref that holds something else that an attempt left in its repository.
pub fn left_ref(item: ItemId, attempt: Attempt, label: &str) -> String {
    format!("refs/sprint/left/{item}/{attempt}/{label}")
}

/// The ref that keeps what came for another one after its attempt was over.
pub fn late_ref(name: &str) -> String {
    name.replacen("refs/sprint/", "refs/sprint/late/", 1)
}

/// The ref that keeps a candidate while it is gated.
pub fn candidate_ref(commit: &CommitId) -> String {
    format!("refs/sprint/candidate/{commit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for bad in
            ["", ".", "..", "a/b", "a..b", "-x", "a.git", "a.lock", "A", "a\n", "a\0", "é", "a.", &"x".repeat(64)]
        {
            assert!(RepoName::new(bad).is_err(), "{bad:?} must be refused");
        }
        for good in ["a", "web-1", "my.repo", "0x", &"x".repeat(63)] {
            assert!(RepoName::new(good).is_ok(), "{good:?} must be taken");
        }
    }

    #[test]
    fn numbers_are_read_with_or_without_a_hash_sign() {
        assert_eq!("#12".parse::<ItemId>(), Ok(ItemId::new(12)));
        assert!("0".parse::<ItemId>().is_err());
        assert!("-1".parse::<ItemId>().is_err());
        assert!("9223372036854775808".parse::<ItemId>().is_err());
    }
}

#[cfg(test)]
#[path = "ids_fuzz.rs"]
mod fuzz;
