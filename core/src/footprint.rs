//! The units that a change touches, and which changes overlap.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A rule of `sprint.toml` that widens what a change touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The unit that the paths make up: a crate, a package, a service. A change that touches one of them touches it.
    pub unit: String,
    /// Patterns as in `.gitignore`: `crates/core/**`, `*.lock`.
    pub paths: Vec<String>,
    /// The units that this one is built from: a change to one of them touches this one, too.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// A change to these paths overlaps every other change.
    #[serde(default)]
    pub everything: bool,
}

/// Paths that bear on everything, whatever the rules say: what is built from, how, and how it is checked.
const EVERYTHING: &[&str] = &[
    // Lock files.
    "Cargo.lock",
    "Gemfile.lock",
    "Package.resolved",
    "Pipfile.lock",
    "Podfile.lock",
    "bun.lock",
    "bun.lockb",
    "composer.lock",
    "flake.lock",
    "go.sum",
    "gradle.lockfile",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "packages.lock.json",
    "pdm.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pubspec.lock",
    "uv.lock",
    "yarn.lock",
    // Build scripts.
    "BUILD",
    "BUILD.bazel",
    "CMakeLists.txt",
    "GNUmakefile",
    "Justfile",
    "MODULE.bazel",
    "Makefile",
    "Rakefile",
    "WORKSPACE",
    "WORKSPACE.bazel",
    "build.gradle",
    "build.gradle.kts",
    "build.rs",
    "justfile",
    "makefile",
    "meson.build",
    "pom.xml",
    "rust-toolchain",
    "rust-toolchain.toml",
    "settings.gradle",
    "settings.gradle.kts",
    "setup.py",
    // CI configuration.
    "/.buildkite/**",
    "/.circleci/**",
    "/.github/workflows/**",
    "/.gitlab-ci.yml",
    "/.travis.yml",
    "/.woodpecker.yml",
    "/Jenkinsfile",
    "/azure-pipelines.yml",
    "/bitbucket-pipelines.yml",
    // What git does with paths.
    ".gitattributes",
    ".gitmodules",
    "/sprint.toml",
];

/// Longer patterns would take long to match.
const LONGEST: usize = 256;

/// A rule that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRule {
    #[error("a rule has an empty unit; give the unit a name, such as that of its crate or folder")]
    NoUnit,
    #[error("the rule of \"{unit}\" has no paths; name the paths that make it up, such as \"{unit}/**\"")]
    NoPaths { unit: String },
    #[error(
        "the rule of \"{unit}\" has the pattern \"{pattern}\", which cannot be read: {why}; write it as in .gitignore"
    )]
    Pattern { unit: String, pattern: String, why: String },
    #[error(
        "the rule of \"{unit}\" depends on \"{missing}\", which no rule defines; correct the name, or add a rule for it"
    )]
    UnknownUnit { unit: String, missing: String },
}

/// What a change touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "touches", rename_all = "snake_case")]
pub enum Footprint {
    /// It overlaps every other change.
    Everything,
    Parts {
        /// The units of rules, with those that are built from them.
        units: BTreeSet<String>,
        /// The paths that no rule covers.
        paths: BTreeSet<String>,
    },
}

impl Footprint {
    /// Whether two changes can be in each other's way.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) | (_, Self::Everything) => true,
            (Self::Parts { units, paths }, Self::Parts { units: other_units, paths: other_paths }) => {
                !units.is_disjoint(other_units) || !paths.is_disjoint(other_paths) || nests(paths, other_paths)
            }
        }
    }
}

/// Whether a path of one set is a folder of a path of the other: a file took a folder's place, or the reverse.
fn nests(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let within = |outer: &BTreeSet<String>, inner: &BTreeSet<String>| {
        inner.iter().any(|path| path.match_indices('/').any(|(end, _)| outer.contains(&path[..end])))
    };
    within(one, other) || within(other, one)
}

/// The rules of a repo, checked and ready.
#[derive(Debug, Clone)]
pub struct Rules {
    everything: GlobSet,
    units: Vec<Unit>,
}

#[derive(Debug, Clone)]
struct Unit {
    name: String,
    paths: GlobSet,
    everything: bool,
    /// The units that a change to this one touches, this one included.
    touched: BTreeSet<String>,
}

impl Rules {
    /// Checks the rules. Several rules may speak of one unit, and units may depend on each other in a circle.
    ///
    /// # Errors
    /// [`InvalidRule`], for the first rule that cannot be followed.
    pub fn new(rules: &[Rule]) -> Result<Self, InvalidRule> {
        let known: BTreeSet<&str> = rules.iter().map(|rule| rule.unit.as_str()).collect();
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for rule in rules {
            if rule.unit.trim().is_empty() {
                return Err(InvalidRule::NoUnit);
            }
            if rule.paths.is_empty() {
                return Err(InvalidRule::NoPaths { unit: rule.unit.clone() });
            }
            for needed in &rule.depends_on {
                if !known.contains(needed.as_str()) {
                    return Err(InvalidRule::UnknownUnit { unit: rule.unit.clone(), missing: needed.clone() });
                }
                users.entry(needed).or_default().push(&rule.unit);
            }
        }
        let units = rules
            .iter()
            .map(|rule| {
                Ok(Unit {
                    name: rule.unit.clone(),
                    paths: matcher(&rule.unit, rule.paths.iter().map(String::as_str))?,
                    everything: rule.everything,
                    touched: closure(&rule.unit, &users),
                })
            })
            .collect::<Result<_, _>>()?;
        let everything = matcher("what touches everything", EVERYTHING.iter().copied())?;
        Ok(Self { everything, units })
    }

    /// What a change to these paths touches; a rename counts with both its paths.
    pub fn footprint<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Footprint {
        let mut units = BTreeSet::new();
        let mut alone = BTreeSet::new();
        for path in paths {
            if self.everything.is_match(path) {
                return Footprint::Everything;
            }
            let mut covered = false;
            for unit in self.units.iter().filter(|unit| unit.paths.is_match(path)) {
                if unit.everything {
                    return Footprint::Everything;
                }
                covered = true;
                units.extend(unit.touched.iter().cloned());
            }
            if !covered {
                alone.insert(path.to_owned());
            }
        }
        Footprint::Parts { units, paths: alone }
    }

    /// The units that rules define.
    pub fn units(&self) -> impl Iterator<Item = &str> {
        self.units.iter().map(|unit| unit.name.as_str())
    }
}

/// All that is built from `unit`, by any way, and `unit` itself.
fn closure(unit: &str, users: &BTreeMap<&str, Vec<&str>>) -> BTreeSet<String> {
    let mut touched = BTreeSet::new();
    let mut open = vec![unit];
    while let Some(unit) = open.pop() {
        if touched.insert(unit.to_owned()) {
            open.extend(users.get(unit).into_iter().flatten());
        }
    }
    touched
}

/// Matches as `.gitignore` does: a pattern with a slash before its end counts from the root, another one anywhere; a
/// folder stands for all that is in it.
pub(crate) fn matcher<'a>(unit: &str, patterns: impl IntoIterator<Item = &'a str>) -> Result<GlobSet, InvalidRule> {
    let invalid =
        |pattern: &str, why: String| InvalidRule::Pattern { unit: unit.to_owned(), pattern: pattern.to_owned(), why };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let bare = pattern.strip_suffix('/').unwrap_or(pattern);
        let rooted = bare.contains('/');
        let bare = bare.strip_prefix('/').unwrap_or(bare);
        if bare.is_empty() {
            return Err(invalid(pattern, "it names nothing".to_owned()));
        }
        if pattern.len() > LONGEST {
            return Err(invalid(
                &pattern.chars().take(40).collect::<String>(),
                format!("it is longer than {LONGEST} bytes"),
            ));
        }
        if bare.starts_with('!') {
            return Err(invalid(pattern, "a rule cannot exclude paths".to_owned()));
        }
        let anchor = if rooted || bare.starts_with("**/") { "" } else { "**/" };
        for glob in [format!("{anchor}{bare}"), format!("{anchor}{bare}/**")] {
            let glob = GlobBuilder::new(&glob).literal_separator(true).build();
            set.add(glob.map_err(|error| invalid(pattern, error.kind().to_string()))?);
        }
    }
    set.build().map_err(|error| invalid("", error.kind().to_string()))
}

#[cfg(test)]
#[path = "footprint_tests.rs"]
mod tests;
