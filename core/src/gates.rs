//! Gates: commands that must hold before a candidate lands, with what their reports must say.

mod need;
mod report;
pub(crate) mod several;
mod threshold;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use need::{InvalidNeed, Need};
pub use report::{Metric, ReportFile, ReportKind, Unit};
pub use threshold::{Bound, Comparison, InvalidThreshold, Threshold};
pub use verdict::{Finding, FindingLevel, GateOutcome, GateVerdict, MAX_FINDINGS, Settled, plain, settle};

/// How long a gate may run when it does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// The stage of a gate that does not say.
pub const FIRST_STAGE: u32 = 1;

/// How often a gate may at most run again: one that needs more proves nothing.
pub const MAX_RETRIES: u32 = 10;

/// A command that must exit with 0, and what its reports must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    pub name: String,
    /// A command line for `/bin/sh -c`.
    pub run: String,
    #[serde(with = "duration_text", default = "default_timeout")]
    pub timeout: Duration,
    /// How often it runs again on the same tree before it counts as failed.
    #[serde(default)]
    pub retries: u32,
    /// Gates of a stage run in parallel; a stage starts when all before it passed.
    #[serde(default = "first_stage")]
    pub stage: u32,
    /// Labels that an outpost must carry to run it.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// The reports that its command writes.
    #[serde(default)]
    pub report: Vec<ReportFile>,
    /// What they must say, besides what each kind must say in any case.
    #[serde(default)]
    pub require: Vec<Threshold>,
}

pub(crate) fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

pub(crate) const fn first_stage() -> u32 {
    FIRST_STAGE
}

impl Gate {
    /// A gate that is only a command.
    pub fn new(name: impl Into<String>, run: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            run: run.into(),
            timeout: DEFAULT_TIMEOUT,
            retries: 0,
            stage: FIRST_STAGE,
            needs: vec![],
            report: vec![],
            require: vec![],
        }
    }

    /// Whether an outpost with these labels can run it.
    pub fn runs_on(&self, labels: &BTreeMap<String, String>) -> bool {
        self.needs.iter().all(|need| need.is_met(labels))
    }
}

/// Durations as people write them: `90s`, `5m`, `2h`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    /// # Errors
    /// A text that is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map_err(|error| D::Error::custom(format!("\"{text}\" is not a duration such as \"5m\": {error}")))
    }

    /// The same where there may be none.
    pub mod optional {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Text(#[serde(with = "super")] Duration);

        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.map(Text).serialize(serializer)
        }

        /// # Errors
        /// A text that is not a duration.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<Text>::deserialize(deserializer)?.map(|text| text.0))
        }
    }
}

/// Why gates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidGates {
    #[error("gate {0:?} has no name; give each gate a name")]
    Unnamed(String),
    #[error("two gates are named {0:?}; names must differ")]
    Duplicate(String),
    #[error("gate {0:?} has nothing to run; set run = \"…\"")]
    Empty(String),
    #[error("gate {0:?} has a timeout of zero; leave it out for 30m")]
    NoTime(String),
    #[error("gate {0:?} is in stage 0; stages are counted from 1")]
    NoStage(String),
    #[error("gate {gate:?} is to run again {retries} times; at most {MAX_RETRIES} are of use")]
    Retries { gate: String, retries: u32 },
    #[error("gate {gate:?}: needs = {text:?}: {why}")]
    Need { gate: String, text: String, why: InvalidNeed },
    #[error("gate {gate:?}: the path {path:?} of a report cannot be: {why}; name a file of the repository")]
    Path { gate: String, path: String, why: String },
    #[error("gate {gate:?} names the report {path:?} twice; once is enough")]
    SameReport { gate: String, path: String },
    #[error("gate {gate:?}: require = {text:?}: {why}")]
    Threshold { gate: String, text: String, why: InvalidThreshold },
    #[error(
        "gate {gate:?}: require = \"{threshold}\": the gate has no report; add report = {{ kind = {kinds}, path = \"…\" }}"
    )]
    NoReport { gate: String, threshold: Threshold, kinds: String },
    #[error(
        "gate {gate:?}: require = \"{threshold}\": none of its reports measures {metric}; they measure {given}, and {metric} comes from a report of kind {kinds}",
        metric = threshold.metric
    )]
    NotMeasured { gate: String, threshold: Threshold, given: String, kinds: String },
}

/// Checks that gates have different names, have a command, and require only metrics that their reports have.
///
/// # Errors
/// [`InvalidGates`] for the first that does not hold.
pub fn validate(gates: &[Gate]) -> Result<(), InvalidGates> {
    let mut names = BTreeSet::new();
    for gate in gates {
        let name = || gate.name.clone();
        if gate.name.trim().is_empty() {
            return Err(InvalidGates::Unnamed(gate.run.clone()));
        }
        if gate.run.trim().is_empty() {
            return Err(InvalidGates::Empty(name()));
        }
        if gate.timeout.is_zero() {
            return Err(InvalidGates::NoTime(name()));
        }
        if gate.stage == 0 {
            return Err(InvalidGates::NoStage(name()));
        }
        if gate.retries > MAX_RETRIES {
            return Err(InvalidGates::Retries { gate: name(), retries: gate.retries });
        }
        reports(gate)?;
        if !names.insert(&gate.name) {
            return Err(InvalidGates::Duplicate(name()));
        }
    }
    Ok(())
}

fn reports(gate: &Gate) -> Result<(), InvalidGates> {
    let name = || gate.name.clone();
    let mut paths = BTreeSet::new();
    for report in &gate.report {
        if let Some(why) = report.wrong_path() {
            return Err(InvalidGates::Path { gate: name(), path: report.path.clone(), why });
        }
        if !paths.insert(&report.path) {
            return Err(InvalidGates::SameReport { gate: name(), path: report.path.clone() });
        }
    }
    let given: BTreeSet<Metric> = gate.report.iter().flat_map(|report| report.kind.gives()).copied().collect();
    let Some(threshold) = gate.require.iter().find(|threshold| !given.contains(&threshold.metric)) else {
        return Ok(());
    };
    let (gate, threshold) = (name(), *threshold);
    let kinds = ReportKind::ALL.iter().filter(|kind| kind.gives().contains(&threshold.metric));
    let kinds = kinds.map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(" or ");
    if given.is_empty() {
        return Err(InvalidGates::NoReport { gate, threshold, kinds });
    }
    let given = given.iter().map(|metric| metric.as_str()).collect::<Vec<_>>().join(", ");
    Err(InvalidGates::NotMeasured { gate, threshold, given, kinds })
}

#[cfg(test)]
#[path = "gates_fuzz.rs"]
mod fuzz;
