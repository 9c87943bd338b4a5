//! What a change may put into a tree: files that each clone can hold, and that say what was meant.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lfs::LfsObject;

crate::words! {
    /// Whether something may land.
    pub enum TreeRule as "rule" { Refuse => "refuse", Allow => "allow" }
}

/// The largest blob that lands where `sprint.toml` does not say.
pub const DEFAULT_MAX_BLOB: u64 = 100 << 20;

/// The longest path that Linux takes.
const MAX_PATH: usize = 4_095;

/// `[tree]` of `sprint.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TreeRules {
    /// Two paths that differ in case only: macOS and Windows can hold one of them.
    pub same_but_case: TreeRule,
    /// Paths that Windows cannot hold.
    pub windows_names: TreeRule,
    /// Conflict markers that the change adds.
    pub conflict_markers: TreeRule,
    /// A repository within the tree that `.gitmodules` does not know.
    pub unknown_submodules: TreeRule,
    /// New pointers of Git LFS to objects that nobody has, and another address of the server for them.
    pub lfs_pointers: TreeRule,
    /// In bytes; none: no limit.
    #[serde(with = "size_text")]
    pub max_blob: Option<u64>,
}

/// A size as `sprint.toml` writes it: `100MiB`, or `none`.
mod size_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    const NONE: &str = "none";

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(super) fn serialize<S: Serializer>(size: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&size.map_or_else(|| NONE.to_owned(), |bytes| bytes.to_string()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == NONE {
            return Ok(None);
        }
        let wrong = |why| D::Error::custom(format!("\"{text}\" is neither a size nor \"{NONE}\": {why}"));
        crate::text::bytes(&text).map(Some).map_err(wrong)
    }
}

impl Default for TreeRules {
    fn default() -> Self {
        Self {
            same_but_case: TreeRule::Refuse,
            windows_names: TreeRule::Allow,
            conflict_markers: TreeRule::Refuse,
            unknown_submodules: TreeRule::Refuse,
            lfs_pointers: TreeRule::Refuse,
            max_blob: Some(DEFAULT_MAX_BLOB),
        }
    }
}

/// Something that must not land.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub path: String,
    pub kind: ProblemKind,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    SameButCase {
        other: String,
    },
    WindowsName,
    TooLong,
    ConflictMarkers {
        line: usize,
    },
    UnknownSubmodule,
    /// A worker's change names a repository that the branch does not.
    NewSubmodule {
        address: String,
    },
    /// Nobody could get its commit.
    SubmoduleMissing {
        why: String,
    },
    /// Nobody has its object.
    LfsPointer {
        object: LfsObject,
        /// Why it is not at the upstream either.
        why: Option<String>,
    },
    /// A worker changes which server has the objects of Git LFS.
    LfsServer,
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    /// It is protected at the present tip, and no person was shown it.
    Protected,
}

impl ProblemKind {
    /// The object that nobody has.
    pub const fn missing_object(&self) -> Option<&LfsObject> {
        if let Self::LfsPointer { object, .. } = self { Some(object) } else { None }
    }

    /// The key that switches the rule; none for what no clone can hold.
    pub const fn key(&self) -> Option<&'static str> {
        match self {
            Self::SameButCase { .. } => Some("same_but_case"),
            Self::WindowsName => Some("windows_names"),
            Self::Protected | Self::TooLong | Self::NewSubmodule { .. } | Self::SubmoduleMissing { .. } => None,
            Self::ConflictMarkers { .. } => Some("conflict_markers"),
            Self::UnknownSubmodule => Some("unknown_submodules"),
            Self::LfsPointer { .. } | Self::LfsServer => Some("lfs_pointers"),
            Self::TooLarge { .. } => Some("max_blob"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            ProblemKind::SameButCase { other } => write!(f, "{path} differs from {other} in case only"),
            ProblemKind::Protected => {
                write!(f, "{path} is protected at the present tip; start from there, so that a person can approve it")
            }
            ProblemKind::WindowsName => write!(f, "{path} is a name that Windows cannot hold"),
            ProblemKind::TooLong => {
                let begin: String = path.chars().take(60).collect();
                write!(f, "{begin}… is longer than the {MAX_PATH} bytes of a path")
            }
            ProblemKind::ConflictMarkers { line } => write!(f, "{path} has conflict markers from line {line} on"),
            ProblemKind::UnknownSubmodule => {
                write!(
                    f,
                    "{path} is a repository of its own without an entry in .gitmodules, so nobody else could get it"
                )
            }
            ProblemKind::NewSubmodule { address } => write!(
                f,
                "{path} is a submodule at an address that the branch does not have, {address}; only a person adds one, by a push to the upstream or a change of their own"
            ),
            ProblemKind::SubmoduleMissing { why } => {
                write!(f, "{path} is a submodule at a commit that cannot be fetched: {why}")
            }
            ProblemKind::LfsPointer { object, why } => {
                let why = why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                let oid = &object.oid;
                write!(f, "{path} is a pointer of Git LFS, and nobody has its object {oid}{why}")
            }
            ProblemKind::LfsServer => {
                write!(f, "{path} says which server has the objects of Git LFS; only a person changes that")
            }
            ProblemKind::TooLarge { bytes, limit } => write!(f, "{path} has {bytes} bytes, more than {limit}"),
        }
    }
}

/// How many problems a message names.
const NAMED: usize = 5;

/// The sentence for whom the change goes back to; `file` is where the rules are switched.
pub fn in_words(problems: &[Problem], file: &str) -> String {
    let named = problems.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let more = problems.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let mut keys: Vec<_> = problems.iter().filter_map(|problem| problem.kind.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    let switch = if keys.is_empty() {
        String::new()
    } else {
        format!(", or have a person switch the rule in [tree] of {file}: {}", keys.join(", "))
    };
    format!(
        "it would put into the tree what does not land: {named}{more}; repair that and bring the change again{switch}"
    )
}

/// What is wrong with a path by itself.
pub fn of_path(path: &[u8], rules: &TreeRules) -> Option<ProblemKind> {
    if path.len() > MAX_PATH {
        return Some(ProblemKind::TooLong);
    }
    let unfit =
        rules.windows_names == TreeRule::Refuse && path.split(|byte| *byte == b'/').any(|name| !fits_windows(name));
    unfit.then_some(ProblemKind::WindowsName)
}

/// Whether Windows can hold a file of this name.
fn fits_windows(name: &[u8]) -> bool {
    let ends_well = !matches!(name.last(), Some(b' ' | b'.'));
    let plain = !name.iter().any(|byte| *byte < 32 || b"<>:\"|?*\\".contains(byte));
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or(name).to_ascii_uppercase();
    let numbered = |begin: &[u8]| stem.len() == 4 && stem.starts_with(begin) && matches!(stem[3], b'1'..=b'9');
    let device = matches!(&stem[..], b"CON" | b"PRN" | b"AUX" | b"NUL") || numbered(b"COM") || numbered(b"LPT");
    ends_well && plain && !device
}

/// What is wrong with a file's content, beside what stood there before.
pub fn of_content(new: &[u8], old: impl FnOnce() -> Option<Vec<u8>>, rules: &TreeRules) -> Option<ProblemKind> {
    if rules.lfs_pointers == TreeRule::Refuse
        && let Some(object) = LfsObject::of_pointer(new)
    {
        let why = LfsObject::is_extended(new).then(|| "it needs an extension of Git LFS".to_owned());
        return Some(ProblemKind::LfsPointer { object, why });
    }
    if rules.conflict_markers == TreeRule::Refuse
        && let Some(line) = conflict_markers(new)
    {
        let was_so = old().is_some_and(|old| conflict_markers(&old).is_some());
        return (!was_so).then_some(ProblemKind::ConflictMarkers { line });
    }
    None
}

/// The line at which the first whole conflict begins, as git writes it; none in what is no text.
fn conflict_markers(content: &[u8]) -> Option<usize> {
    if content.contains(&0) {
        return None;
    }
    let mut begun = None;
    let mut divided = false;
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"<<<<<<< ") {
            (begun, divided) = (Some(number + 1), false);
        } else if line == b"=======" && begun.is_some() {
            divided = true;
        } else if line.starts_with(b">>>>>>> ") && divided {
            return begun;
        }
    }
    None
}

/// The names of a directory that differ from another one of it in case only: for each that is new, one of the others.
pub fn same_but_case<'a>(names: impl Iterator<Item = &'a [u8]>, new: &[&[u8]]) -> Vec<(String, String)> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut by_case: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for name in names {
        by_case.entry(text(name).to_lowercase()).or_default().push(name);
    }
    let other = |name: &[u8]| {
        let same = by_case.get(&text(name).to_lowercase())?;
        same.iter().find(|other| **other != name).map(|other| (text(name), text(other)))
    };
    new.iter().filter_map(|name| other(name)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::bytes;
    use crate::lfs::LfsOid;

    const ALL: TreeRules = TreeRules {
        same_but_case: TreeRule::Refuse,
        windows_names: TreeRule::Refuse,
        conflict_markers: TreeRule::Refuse,
        unknown_submodules: TreeRule::Refuse,
        lfs_pointers: TreeRule::Refuse,
        max_blob: Some(DEFAULT_MAX_BLOB),
    };

    #[test]
    fn names_that_windows_cannot_hold_are_told_from_others() {
        for bad in
            ["a:b", "aux", "Aux.c", "src/nul.txt", "com1", "LPT9.log", "a ", "a.", "dir./f", "q?", "a\\b", "t\tx"]
        {
            assert_eq!(of_path(bad.as_bytes(), &ALL), Some(ProblemKind::WindowsName), "{bad:?}");
            assert_eq!(of_path(bad.as_bytes(), &TreeRules::default()), None, "{bad:?}");
        }
        for good in ["auxiliary", "com0", "com10", ".gitignore", "a.b/c", "é", "console.c", "null", "x aux"] {
            assert_eq!(of_path(good.as_bytes(), &ALL), None, "{good:?}");
        }
        assert_eq!(of_path("a/".repeat(2_048).as_bytes(), &TreeRules::default()), Some(ProblemKind::TooLong));
    }

    #[test]
    fn a_whole_conflict_is_found_where_it_is_new() {
        let conflict = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> topic\n";
        let found = |new: &str, old: Option<&str>| of_content(new.as_bytes(), || old.map(Into::into), &ALL);
        let markers = Some(ProblemKind::ConflictMarkers { line: 2 });
        assert_eq!(found(conflict, None), markers);
        assert_eq!(found(&conflict.replace('\n', "\r\n"), Some("a\n")), markers);
        assert_eq!(found(&format!("x\n{conflict}"), Some(conflict)), None, "it was so before");
        let diff3 = "<<<<<<< ours\nb\n||||||| base\nx\n=======\nc\n>>>>>>> theirs\n";
        assert_eq!(found(diff3, None), Some(ProblemKind::ConflictMarkers { line: 1 }));
        for text in [
            "Title\n=======\n",
            "<<<<<<< a\n",
            ">>>>>>> x\n=======\n<<<<<<< y\n",
            " <<<<<<< a\n=======\n>>>>>>> b\n",
            "<<<<<<< a\n=======\n>>>>>>> b\n\0",
        ] {
            assert_eq!(found(text, None), None, "{text:?}");
        }
        let object = LfsObject { oid: LfsOid::new("0".repeat(64)).expect("is one"), size: 3 };
        let pointer = object.pointer();
        assert_eq!(found(&pointer, None), Some(ProblemKind::LfsPointer { object, why: None }));
        let off = TreeRules { lfs_pointers: TreeRule::Allow, conflict_markers: TreeRule::Allow, ..ALL };
        assert_eq!(of_content(pointer.as_bytes(), || None, &off), None);
        assert_eq!(of_content(conflict.as_bytes(), || None, &off), None);
    }

    #[test]
    fn names_that_differ_in_case_only_are_found_where_one_is_new() {
        let names = ["README", "Readme", "a", "Ä", "ä", "B", "b"];
        let found = |new: &[&str]| {
            let new: Vec<_> = new.iter().map(|name| name.as_bytes()).collect();
            let found = same_but_case(names.iter().map(|name| name.as_bytes()), &new);
            found.into_iter().map(|(name, other)| format!("{name} {other}")).collect::<Vec<_>>()
        };
        assert_eq!(found(&["Readme", "a", "ä"]), ["Readme README", "ä Ä"]);
        assert_eq!(found(&[]), Vec::<String>::new(), "what was so before is nobody's");
    }

    #[test]
    fn problems_are_named_with_the_rules_that_they_break() {
        let problem = |number: u64| Problem {
            path: format!("f{number}"),
            kind: ProblemKind::TooLarge { bytes: number, limit: 1 },
        };
        let mut problems: Vec<_> = (2..9).map(problem).collect();
        problems.push(Problem { path: "lib".to_owned(), kind: ProblemKind::UnknownSubmodule });
        let text = in_words(&problems, "sprint.toml");
        assert!(text.contains("f2 has 2 bytes, more than 1; ") && text.contains("; and 3 more;"), "{text}");
        assert!(text.ends_with("in [tree] of sprint.toml: max_blob, unknown_submodules"), "{text}");
    }

    proptest! {
        /// Whatever a worker commits is judged; what is switched off is never a problem.
        #[test]
        fn fuzz_any_path_and_content_is_judged(
            path in bytes(vec![b"src/aux.c".to_vec()]),
            content in bytes(vec![b"<<<<<<< a\n=======\n>>>>>>> b\n".to_vec()]),
        ) {
            let off = TreeRules {
                same_but_case: TreeRule::Allow,
                windows_names: TreeRule::Allow,
                conflict_markers: TreeRule::Allow,
                unknown_submodules: TreeRule::Allow,
                lfs_pointers: TreeRule::Allow,
                max_blob: None,
            };
            prop_assert_eq!(of_path(&path, &off).is_some(), path.len() > MAX_PATH);
            prop_assert_eq!(of_content(&content, || None, &off), None);
            of_path(&path, &ALL);
            prop_assert_eq!(of_content(&content, || Some(content.clone()), &ALL), LfsObject::of_pointer(&content).map(|object| ProblemKind::LfsPointer {
                object,
                why: LfsObject::is_extended(&content).then(|| "it needs an extension of Git LFS".to_owned()),
            }));
        }
    }
}
