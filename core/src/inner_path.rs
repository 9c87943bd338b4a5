//! The one way from a name that others have chosen (in a tree, a configuration, a report) to a path below a directory of
//! ours.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use thiserror::Error;

/// The longest path, and the longest name in it, that Linux takes.
const LONGEST: usize = 4_095;
const LONGEST_NAME: usize = 255;

/// Why a name is no path below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotInside {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {LONGEST} bytes, or a part of it than {LONGEST_NAME}")]
    TooLong,
    #[error("it begins with a slash")]
    Absolute,
    #[error("it has a part that is empty, \".\" or \"..\"")]
    Dots,
    #[error("it has a NUL byte")]
    Nul,
    #[error("it leads into a git directory")]
    GitDirectory,
}

/// A relative path without a way out: no `..`, no `.git` by whichever of its names, nothing that a file system does not
/// hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InnerPath(Box<[u8]>);

impl InnerPath {
    /// # Errors
    /// [`NotInside`].
    pub fn new(name: &[u8]) -> Result<Self, NotInside> {
        if name.is_empty() {
            return Err(NotInside::Empty);
        }
        if name.len() > LONGEST {
            return Err(NotInside::TooLong);
        }
        if name.starts_with(b"/") {
            return Err(NotInside::Absolute);
        }
        if name.contains(&0) {
            return Err(NotInside::Nul);
        }
        for part in name.split(|byte| *byte == b'/') {
            if matches!(part, b"" | b"." | b"..") {
                return Err(NotInside::Dots);
            }
            if part.len() > LONGEST_NAME {
                return Err(NotInside::TooLong);
            }
            if is_git_directory(part) {
                return Err(NotInside::GitDirectory);
            }
        }
        Ok(Self(name.into()))
    }

    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl fmt::Debug for InnerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_path(), f)
    }
}

/// Whether some file system takes a name for `.git`: those that ignore case, trailing dots and spaces, streams (NTFS,
/// with its short name `git~1`) or invisible characters (HFS+).
fn is_git_directory(part: &[u8]) -> bool {
    let text = String::from_utf8_lossy(part);
    let visible: String = text.chars().filter(|letter| !is_ignored(*letter)).collect();
    let name = visible.to_ascii_lowercase();
    let name = name.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    matches!(name, ".git" | "git~1")
}

/// What HFS+ ignores in a name.
const fn is_ignored(letter: char) -> bool {
    matches!(letter,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::path::{Component, PathBuf};

    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::bytes;

    #[test]
    fn a_name_that_leads_out_is_no_path() {
        use NotInside::{Absolute, Dots, Empty, GitDirectory, Nul, TooLong};
        let (long, deep) = ("x".repeat(256), "x/".repeat(2_048) + "x");
        let cases: &[(&str, NotInside)] = &[
            ("", Empty),
            ("/etc/passwd", Absolute),
            ("../planted", Dots),
            ("a/../../planted", Dots),
            ("a//b", Dots),
            ("a/", Dots),
            ("./a", Dots),
            ("a\0b", Nul),
            (&long, TooLong),
            (&deep, TooLong),
            (".git/config", GitDirectory),
            ("a/.GIT", GitDirectory),
            ("GIT~1/hooks", GitDirectory),
            (".git. ./x", GitDirectory),
            (".git::$INDEX_ALLOCATION/x", GitDirectory),
            (".g\u{200c}it/x", GitDirectory),
        ];
        for (name, why) in cases {
            assert_eq!(InnerPath::new(name.as_bytes()), Err(*why), "{name:.40}");
        }
        for name in ["a", "a/b.c", ".gitattributes", "x.git", "git~2", "...", "a b", "é/ü", ".git-x"] {
            assert_eq!(InnerPath::new(name.as_bytes()).expect(name).as_path(), Path::new(name));
        }
        InnerPath::new(b"not \xff utf-8").expect("any bytes are a name");
    }

    proptest! {
        #[test]
        fn fuzz_a_path_stays_inside_whatever_it_is_made_of(name in bytes(vec![b"a/../b".to_vec(), b".git/x".to_vec(), b"a/b".to_vec()])) {
            if let Ok(path) = InnerPath::new(&name) {
                let plain = path.as_path().components().all(|part| matches!(part, Component::Normal(_)));
                prop_assert!(plain && PathBuf::from("/data").join(path.as_path()).starts_with("/data"));
            }
        }
    }
}
