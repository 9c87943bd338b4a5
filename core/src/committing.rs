//! Whose the commits of landings are, and how they prove it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A person as git writes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitIdentity {
    name: String,
    email: String,
}

/// Why a text is no identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is no identity of git; write it as NAME <EMAIL>")]
pub struct InvalidIdentity(String);

impl GitIdentity {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn email(&self) -> &str {
        &self.email
    }
}

impl FromStr for GitIdentity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let invalid = || InvalidIdentity(text.to_owned());
        let (name, email) = text.split_once(" <").ok_or_else(invalid)?;
        let email = email.strip_suffix('>').ok_or_else(invalid)?;
        let plain = |part: &str| !part.is_empty() && !part.contains(['<', '>', '\n', '\r', '\0']);
        // Git takes these off the ends of a name, and another name would come out.
        let crud = |letter: char| letter.is_ascii_control() || " .,:;\"\\'".contains(letter);
        let whole = plain(name) && plain(email) && name.trim_matches(crud) == name && email.trim_matches(crud) == email;
        if whole { Ok(Self { name: name.to_owned(), email: email.to_owned() }) } else { Err(invalid()) }
    }
}

impl fmt::Display for GitIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

impl Serialize for GitIdentity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GitIdentity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How a repo's landings are committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Committing {
    /// Sprint itself when none; workers' commits that land as they are keep their own.
    pub author: Option<GitIdentity>,
    /// Sprint itself when none.
    pub committer: Option<GitIdentity>,
    /// With `Signed-off-by` of the committer.
    pub sign_off: bool,
    /// A private SSH key on the coordinator's host that signs them.
    pub sign: Option<String>,
}

/// A change of it; an absent field stays as it is, and `Some(None)` goes back to the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommittingPatch {
    pub author: Option<Option<GitIdentity>>,
    pub committer: Option<Option<GitIdentity>>,
    pub sign_off: Option<bool>,
    pub sign: Option<Option<String>>,
}

impl Committing {
    pub fn change(&mut self, patch: CommittingPatch) {
        let CommittingPatch { author, committer, sign_off, sign } = patch;
        self.author = author.unwrap_or_else(|| self.author.take());
        self.committer = committer.unwrap_or_else(|| self.committer.take());
        self.sign_off = sign_off.unwrap_or(self.sign_off);
        self.sign = sign.unwrap_or_else(|| self.sign.take());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::texts;

    #[test]
    fn an_identity_is_read_as_git_writes_it() {
        let ann: GitIdentity = "Ann B. Ünal <ann@example.org>".parse().expect("is read");
        assert_eq!((ann.name(), ann.email()), ("Ann B. Ünal", "ann@example.org"));
        for bad in [
            "Ann",
            "<a@b>",
            "Ann <>",
            "Ann <a@b",
            "Ann<a@b>",
            " Ann <a@b>",
            "A\nB <a@b>",
            "A <a>b>",
            "A. <a@b>",
            "A < a@b>",
        ] {
            assert!(bad.parse::<GitIdentity>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_is() {
        let ann: GitIdentity = "Ann <a@b>".parse().expect("is read");
        let mut committing =
            Committing { author: Some(ann.clone()), sign: Some("key".to_owned()), ..Default::default() };
        committing.change(CommittingPatch { sign_off: Some(true), sign: Some(None), ..Default::default() });
        assert_eq!(committing, Committing { author: Some(ann), sign_off: true, ..Default::default() });
    }

    proptest! {
        #[test]
        fn fuzz_an_identity_survives_being_written(text in texts(&["Ann <ann@example.org>", "Ünal, B <x@y>"])) {
            if let Ok(identity) = text.parse::<GitIdentity>() {
                prop_assert_eq!(identity.to_string(), text);
            }
        }
    }
}
