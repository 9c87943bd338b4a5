//! `sprint.toml`: what a managed repository says of its gates, its merges, and what its changes touch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::footprint::{self, InvalidRule};
use crate::gates::{self, Gate, InvalidGates, ReportFile, duration_text, several};
use crate::protection::{Protect, ProtectedPaths};
use crate::recipe::{Cache, DEFAULT_TIMEOUT, InvalidRecipe, Recipe};
use crate::runtime::RuntimeChange;
use crate::tree_rules::TreeRules;

/// The file at the root of a managed repository that configures it.
pub const CONFIG_FILE: &str = "sprint.toml";

crate::words! {
    /// What lands for a change.
    pub enum MergeMethod as "merge method" {
        /// A merge commit.
        Merge => "merge",
        /// One commit with all of the change.
        Squash => "squash",
        /// Each of its commits is made again on the tip.
        Rebase => "rebase",
        /// Its commits as they are, and only if the branch can be moved to them.
        FastForward => "fast-forward",
    }
}

crate::words! {
    /// How closely the tree that lands must match the tree that was gated.
    pub enum Landing as "way of landing" {
        /// The tree that lands is the tree that passed.
        Strict => "strict",
        /// It may differ by changes that landed meanwhile and touch nothing in common.
        Relaxed => "relaxed",
    }
}

/// How changes become part of the target branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeConfig {
    pub method: MergeMethod,
    pub landing: Landing,
    /// Whether changes that were gated together may land together; only with merge commits.
    pub together: bool,
}

impl Default for MergeConfig {
    fn default() -> Self {
        Self { method: MergeMethod::Merge, landing: Landing::Strict, together: true }
    }
}

/// Everything that a `sprint.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepoConfig {
    pub gates: Vec<Gate>,
    pub merge: MergeConfig,
    #[serde(default)]
    pub tree: TreeRules,
    #[serde(default)]
    pub protect: Protect,
    pub footprint: Vec<footprint::Rule>,
    /// None where the file has no `[workspace]`: then other programs' files count.
    #[serde(default)]
    pub workspace: Option<Recipe>,
    /// What it changes of named agents.
    #[serde(default)]
    pub runtime: BTreeMap<String, RuntimeChange>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidConfig {
    #[error("{CONFIG_FILE} cannot be read: {0}")]
    Syntax(String),
    #[error(
        "{CONFIG_FILE} cannot be used: there is no table or key {0:?}; name one of {tables}, or begin it with {FOREIGN} if it is for another program",
        tables = TABLES.join(", ")
    )]
    Unknown(String),
    #[error("{CONFIG_FILE} cannot be used: {0}")]
    Gates(#[from] InvalidGates),
    #[error(
        "{CONFIG_FILE} cannot be used: merge.together = true needs merge.method = \"merge\", and it is \"{0}\"; leave one of them out"
    )]
    Together(MergeMethod),
    #[error("{CONFIG_FILE} cannot be used: a [[footprint]] has no name; set unit = \"…\"")]
    Unnamed,
    #[error(
        "{CONFIG_FILE} cannot be used: [[footprint]] {unit:?} depends on {on:?}, and there is no such unit; name one of {units}"
    )]
    NoUnit { unit: String, on: String, units: String },
    #[error("{CONFIG_FILE} cannot be used: {0}")]
    Workspace(#[from] InvalidRecipe),
    #[error("{CONFIG_FILE} cannot be used: {0}")]
    Protect(InvalidRule),
}

/// The tables of [`ConfigFile`].
const TABLES: &[&str] = &["gate", "merge", "tree", "protect", "workspace", "footprint", "runtime"];
/// What the names of other programs' tables begin with.
const FOREIGN: &str = "x-";

/// The file as it is written, without what is other programs' business.
#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    gate: Vec<StrictGate>,
    #[serde(default)]
    merge: StrictMerge,
    #[serde(default)]
    tree: TreeRules,
    #[serde(default)]
    protect: Protect,
    #[serde(default)]
    footprint: Vec<footprint::Rule>,
    workspace: Option<StrictWorkspace>,
    #[serde(default)]
    runtime: BTreeMap<String, RuntimeChange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictWorkspace {
    #[serde(default)]
    setup: String,
    #[serde(default)]
    teardown: String,
    #[serde(with = "duration_text", default = "StrictWorkspace::timeout")]
    timeout: Duration,
    #[serde(default)]
    bring: Vec<String>,
    #[serde(default)]
    cache: Vec<Cache>,
}

impl StrictWorkspace {
    const fn timeout() -> Duration {
        DEFAULT_TIMEOUT
    }
}

/// A gate as the file writes it: a misspelt key is an error, not a gate without a limit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictGate {
    name: String,
    run: String,
    #[serde(with = "duration_text", default = "gates::default_timeout")]
    timeout: Duration,
    #[serde(default)]
    retries: u32,
    #[serde(default = "gates::first_stage")]
    stage: u32,
    #[serde(default, deserialize_with = "several::deserialize")]
    needs: Vec<String>,
    #[serde(default, deserialize_with = "several::deserialize")]
    report: Vec<ReportFile>,
    #[serde(default, deserialize_with = "several::deserialize")]
    require: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictMerge {
    method: Option<MergeMethod>,
    landing: Option<Landing>,
    together: Option<bool>,
}

/// Reads the text of a `sprint.toml`.
///
/// # Errors
/// [`InvalidConfig`]; a file that cannot be read is never "no gates".
pub fn parse(text: &str) -> Result<RepoConfig, InvalidConfig> {
    let syntax = |error: toml::de::Error| InvalidConfig::Syntax(error.to_string());
    let ConfigFile { gate, merge, tree, protect, footprint, workspace, runtime } =
        toml::from_str(text).map_err(syntax)?;
    // A misspelt table must not switch a gate off.
    let found: toml::Table = toml::from_str(text).map_err(syntax)?;
    let known = |name: &str| TABLES.contains(&name) || name.starts_with(FOREIGN);
    if let Some(unknown) = found.keys().find(|name| !known(name)) {
        return Err(InvalidConfig::Unknown(unknown.clone()));
    }
    let gates = gate.into_iter().map(Gate::try_from).collect::<Result<Vec<_>, _>>()?;
    gates::validate(&gates)?;
    check_units(&footprint)?;
    ProtectedPaths::new(&protect, CONFIG_FILE).map_err(InvalidConfig::Protect)?;
    let workspace = workspace.map(Recipe::try_from).transpose()?;
    Ok(RepoConfig { gates, merge: merge.try_into()?, tree, protect, footprint, workspace, runtime })
}

fn check_units(rules: &[footprint::Rule]) -> Result<(), InvalidConfig> {
    if rules.iter().any(|rule| rule.unit.trim().is_empty()) {
        return Err(InvalidConfig::Unnamed);
    }
    let units: BTreeSet<&str> = rules.iter().map(|rule| rule.unit.as_str()).collect();
    for rule in rules {
        if let Some(on) = rule.depends_on.iter().find(|on| !units.contains(on.as_str())) {
            let units = units.iter().copied().collect::<Vec<_>>().join(", ");
            return Err(InvalidConfig::NoUnit { unit: rule.unit.clone(), on: on.clone(), units });
        }
    }
    Ok(())
}

impl TryFrom<StrictGate> for Gate {
    type Error = InvalidGates;

    fn try_from(gate: StrictGate) -> Result<Self, InvalidGates> {
        let StrictGate { name, run, timeout, retries, stage, needs, report, require } = gate;
        let needs = needs.into_iter().map(|text| match text.parse() {
            Ok(need) => Ok(need),
            Err(why) => Err(InvalidGates::Need { gate: name.clone(), text, why }),
        });
        let needs = needs.collect::<Result<_, _>>()?;
        let require = require.into_iter().map(|text| match text.parse() {
            Ok(threshold) => Ok(threshold),
            Err(why) => Err(InvalidGates::Threshold { gate: name.clone(), text, why }),
        });
        let require = require.collect::<Result<_, _>>()?;
        Ok(Self { name, run, timeout, retries, stage, needs, report, require })
    }
}

impl TryFrom<StrictWorkspace> for Recipe {
    type Error = InvalidRecipe;

    fn try_from(workspace: StrictWorkspace) -> Result<Self, InvalidRecipe> {
        let StrictWorkspace { setup, teardown, timeout, bring, cache } = workspace;
        let recipe = Self { setup, teardown, timeout, bring, cache, ..Self::default() };
        recipe.validate()?;
        Ok(recipe)
    }
}

impl TryFrom<StrictMerge> for MergeConfig {
    type Error = InvalidConfig;

    fn try_from(merge: StrictMerge) -> Result<Self, InvalidConfig> {
        let StrictMerge { method, landing, together } = merge;
        let default = Self::default();
        let method = method.unwrap_or(default.method);
        if together == Some(true) && method != MergeMethod::Merge {
            return Err(InvalidConfig::Together(method));
        }
        Ok(Self {
            method,
            landing: landing.unwrap_or(default.landing),
            together: together.unwrap_or(method == MergeMethod::Merge),
        })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
