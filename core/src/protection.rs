//! Paths that decide what counts as good: what a worker changes of them lands with a person's approval.

use globset::GlobSet;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds::{NAMED_PATHS, named_paths};
use crate::footprint::{InvalidRule, matcher};
use crate::recipe::WORKTREE_FILES;
use crate::time::Timestamp;

/// Where a repository's own templates of prompts are.
pub const PROMPTS: &str = "sprint/prompts";
/// The word that switches the protection off.
const OFF: &str = "off";

/// `protect` of `sprint.toml`: patterns, besides the files that are protected in any case, or `"off"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Protect {
    Paths(Vec<String>),
    #[serde(serialize_with = "off")]
    Off,
}

fn off<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(OFF)
}

impl Default for Protect {
    fn default() -> Self {
        Self::Paths(vec![])
    }
}

impl<'de> Deserialize<'de> for Protect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            Paths(Vec<String>),
        }
        let wrong = || serde::de::Error::custom("protect is neither a list of patterns nor \"off\"");
        match Written::deserialize(deserializer).map_err(|_| wrong())? {
            Written::Word(word) if word == OFF => Ok(Self::Off),
            Written::Word(_) => Err(wrong()),
            Written::Paths(paths) => Ok(Self::Paths(paths)),
        }
    }
}

/// The protected paths of a repo, ready to be compared.
#[derive(Debug, Clone)]
pub struct ProtectedPaths(Option<GlobSet>);

impl ProtectedPaths {
    /// Those that `protect` names, besides the repo's own configuration, its prompts, and what else says how workspaces are made.
    ///
    /// # Errors
    /// [`InvalidRule`]: a pattern cannot be read.
    pub fn new(protect: &Protect, config_file: &str) -> Result<Self, InvalidRule> {
        let Protect::Paths(patterns) = protect else { return Ok(Self(None)) };
        let prompts = format!("{PROMPTS}/");
        let always = [config_file, &prompts].into_iter().chain(WORKTREE_FILES.iter().copied());
        let always = always.map(|name| format!("/{name}"));
        let all: Vec<String> = always.chain(patterns.iter().cloned()).collect();
        Ok(Self(Some(matcher("protect", all.iter().map(String::as_str))?)))
    }

    pub fn hold(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|set| set.is_match(path))
    }
}

/// What a change has to do with protected paths, for the commit that it has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// The protected paths that it changes, in order.
    pub paths: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// What it takes away from what is asked of changes, a phrase each.
    pub weakens: Vec<String>,
    #[serde(default)]
    pub approval: Option<Approval>,
}

impl Protection {
    /// That of a change of these paths, as far as they are remembered.
    pub fn of(paths: &[String], weakens: Vec<String>) -> Self {
        Self { paths: named_paths(paths), more: paths.len().saturating_sub(NAMED_PATHS), weakens, approval: None }
    }

    pub const fn waits(&self) -> bool {
        self.approval.is_none()
    }

    /// The paths, and what is weakened, in one phrase.
    pub fn in_words(&self) -> String {
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        let weakens = if self.weakens.is_empty() { String::new() } else { format!("; it {}", self.weakens.join("; ")) };
        format!("{}{more}{weakens}", self.paths.join(", "))
    }
}

/// A person's word that a change of protected paths may land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(protect: &Protect, path: &str) -> bool {
        ProtectedPaths::new(protect, "sprint.toml").expect("patterns").hold(path)
    }

    #[test]
    fn what_decides_is_protected_and_what_is_named() {
        let named = Protect::Paths(vec!["ci/".to_owned(), "codecov.yml".to_owned(), "/tests/*.cfg".to_owned()]);
        for path in [
            "sprint.toml",
            "sprint/prompts/developer.md",
            "conductor.json",
            ".worktreeinclude",
            "ci/a/b.sh",
            "web/codecov.yml",
            "tests/unit.cfg",
        ] {
            assert!(holds(&named, path), "{path}");
        }
        for path in ["src/sprint.toml", "sprint/prompts.md", "circle", "tests/a/unit.cfg", "ci.sh"] {
            assert!(!holds(&named, path), "{path}");
        }
        assert!(holds(&Protect::default(), "sprint.toml"));
        assert!(!holds(&Protect::Off, "sprint.toml"));
    }

    #[test]
    fn protect_is_a_list_or_off_and_nothing_else() {
        #[derive(Deserialize, Serialize, Debug)]
        struct File {
            protect: Protect,
        }
        for (text, protect) in [
            ("protect = \"off\"\n", Protect::Off),
            ("protect = [\"ci/**\"]\n", Protect::Paths(vec!["ci/**".to_owned()])),
            ("protect = []\n", Protect::default()),
        ] {
            let file: File = toml::from_str(text).expect(text);
            assert_eq!(file.protect, protect);
            assert_eq!(toml::to_string(&file).expect("it is written"), text);
        }
        for text in ["protect = \"of\"", "protect = false", "protect = [1]", "protect = \"\""] {
            let error = toml::from_str::<File>(text).expect_err(text).to_string();
            assert!(error.contains("neither a list of patterns nor \"off\""), "{error}");
        }
    }
}
