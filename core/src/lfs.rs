//! Git LFS: git holds a pointer in the place of a file, whose content is an object that is kept beside git.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;

/// What is longer is no pointer.
pub const POINTER_MOST: usize = 1_024;

/// The first line of a pointer; the others are those of its forerunners.
const VERSIONS: [&str; 3] =
    ["https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"];

/// The name of an object: the SHA-256 of its content, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LfsOid(String);

impl LfsOid {
    /// # Errors
    /// [`InvalidId`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text.len() == 64 && digits {
            return Ok(Self(text));
        }
        let (what, rule) = ("the name of an LFS object", "it is a SHA-256 in 64 hexadecimal digits");
        Err(InvalidId { what, given: text.chars().take(80).collect(), rule })
    }

    /// The name of what has this SHA-256.
    pub fn of_digest(digest: &[u8]) -> Self {
        Self(digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a text does not fail.
            write!(text, "{byte:02x}").ok();
            text
        }))
    }

    /// Where it is kept, from a directory of objects: as Git LFS itself has them.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", &self.0[..2], &self.0[2..4], self.0)
    }
}

impl fmt::Display for LfsOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<LfsOid> for String {
    fn from(oid: LfsOid) -> Self {
        oid.0
    }
}

impl TryFrom<String> for LfsOid {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

/// An object, as a pointer names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LfsObject {
    pub oid: LfsOid,
    /// In bytes.
    pub size: u64,
}

impl LfsObject {
    /// Reads a pointer; none for any other content.
    pub fn of_pointer(content: &[u8]) -> Option<Self> {
        if content.len() >= POINTER_MOST {
            return None;
        }
        // As Git LFS reads it: what stands around it does not count.
        let mut lines = std::str::from_utf8(content).ok()?.trim().lines();
        let version = lines.next()?.strip_prefix("version ")?;
        if !VERSIONS.contains(&version) {
            return None;
        }
        let (mut oid, mut size) = (None, None);
        for line in lines {
            match line.split_once(' ')? {
                ("oid", value) => oid = Some(LfsOid::new(value.strip_prefix("sha256:")?).ok()?),
                ("size", value) => size = Some(value.parse().ok()?),
                _ => {}
            }
        }
        Some(Self { oid: oid?, size: size? })
    }

    /// Whether a pointer wants a program of its owner's besides Git LFS, which nobody else has.
    pub fn is_extended(pointer: &[u8]) -> bool {
        pointer.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(b"ext-"))
    }

    /// The pointer to it.
    pub fn pointer(&self) -> String {
        format!("version {}\noid sha256:{}\nsize {}\n", VERSIONS[0], self.oid, self.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::bytes;

    const OID: &str = "4350e6efbf3e48ade3f8225d50fcbfa8aaa6f28ec18c79ccfdd057b97946eb73";

    fn object() -> LfsObject {
        LfsObject { oid: LfsOid::new(OID).expect("is one"), size: 3 }
    }

    #[test]
    fn a_pointer_is_read_and_nothing_else_is_one() {
        let text = object().pointer();
        assert_eq!(LfsObject::of_pointer(text.as_bytes()), Some(object()));
        let extended = text.replace("oid", &format!("ext-0-a sha256:{OID}\noid"));
        assert_eq!(LfsObject::of_pointer(extended.as_bytes()), Some(object()));
        assert!(LfsObject::is_extended(extended.as_bytes()) && !LfsObject::is_extended(text.as_bytes()));
        assert_eq!(LfsObject::of_pointer(format!("\n {text} \n\n").as_bytes()), Some(object()));
        for (from, to) in [
            ("spec/v1", "spec/v9"),
            ("size 3", "size -3"),
            ("size 3\n", ""),
            ("sha256:4", "sha256:g"),
            ("sha256:43", "sha256:../../4"),
            ("sha256:", "md5:"),
            ("oid", "\n\noid"),
        ] {
            let other = text.replace(from, to);
            assert_ne!(other, text);
            assert_eq!(LfsObject::of_pointer(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(LfsObject::of_pointer(format!("{text}{}", "x y\n".repeat(300)).as_bytes()), None);
    }

    proptest! {
        /// Whatever stands in a file, the name that is read of it leads nowhere else.
        #[test]
        fn fuzz_any_content_may_be_a_pointer(content in bytes(vec![object().pointer().into_bytes()])) {
            if let Some(found) = LfsObject::of_pointer(&content) {
                prop_assert_eq!(found.oid.path().len(), 64 + 6);
                prop_assert!(found.oid.path().bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'/'));
                prop_assert_eq!(LfsObject::of_pointer(found.pointer().as_bytes()), Some(found));
            }
        }
    }
}
