//! Gates: commands that must hold before a candidate lands, and the file that names them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How long a gate may run when it does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// The file at the root of a managed repository that configures it.
pub const CONFIG_FILE: &str = "sprint.toml";

/// A command that must exit with 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    pub name: String,
    /// A command line for `/bin/sh -c`.
    pub run: String,
    #[serde(with = "duration_text", default = "default_timeout")]
    pub timeout: Duration,
}

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
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
}

/// Why a configuration of gates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidGates {
    #[error("{CONFIG_FILE} cannot be read: {0}")]
    Syntax(String),
    #[error("gate {0:?} has no name; give each gate a name")]
    Unnamed(String),
    #[error("two gates are named {0:?}; names must differ")]
    Duplicate(String),
    #[error("gate {0:?} has nothing to run; set run = \"…\"")]
    Empty(String),
    #[error("gate {0:?} has a timeout of zero; leave it out for 30m")]
    NoTime(String),
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    gate: Vec<StrictGate>,
}

/// A gate as the file writes it: a misspelt key is an error, not a gate without a limit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictGate {
    name: String,
    run: String,
    #[serde(with = "duration_text", default = "default_timeout")]
    timeout: Duration,
}

/// Reads the gates out of the text of a `sprint.toml`.
///
/// # Errors
/// [`InvalidGates`]; a file that cannot be read is never "no gates".
pub fn parse_config(text: &str) -> Result<Vec<Gate>, InvalidGates> {
    let file: ConfigFile = toml::from_str(text).map_err(|error| InvalidGates::Syntax(error.to_string()))?;
    let gates =
        file.gate.into_iter().map(|StrictGate { name, run, timeout }| Gate { name, run, timeout }).collect::<Vec<_>>();
    validate(&gates)?;
    Ok(gates)
}

/// Checks that gates can be told apart and have something to run.
///
/// # Errors
/// [`InvalidGates`] for the first that does not hold.
pub fn validate(gates: &[Gate]) -> Result<(), InvalidGates> {
    let mut names = BTreeSet::new();
    for gate in gates {
        if gate.name.trim().is_empty() {
            return Err(InvalidGates::Unnamed(gate.run.clone()));
        }
        if gate.run.trim().is_empty() {
            return Err(InvalidGates::Empty(gate.name.clone()));
        }
        if gate.timeout.is_zero() {
            return Err(InvalidGates::NoTime(gate.name.clone()));
        }
        if !names.insert(&gate.name) {
            return Err(InvalidGates::Duplicate(gate.name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_in_order_with_their_limits() {
        let gates = parse_config(
            "[[gate]]\nname = \"test\"\nrun = \"./test.sh\"\ntimeout = \"90s\"\n[[gate]]\nname = \"lint\"\nrun = \"true\"\n",
        )
        .expect("parses");
        assert_eq!(gates[0].timeout, Duration::from_secs(90));
        assert_eq!((gates[1].name.as_str(), gates[1].timeout), ("lint", DEFAULT_TIMEOUT));
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_an_error_and_not_an_empty_list() {
        for bad in [
            "[[gate]",
            "[[gate]]\nname = \"x\"\n",
            "[[gate]]\nname = \"x\"\nrun = \"\"\n",
            "[[gate]]\nname = \"\"\nrun = \"true\"\n",
            "[[gate]]\nname = \"x\"\nrun = \"true\"\ntimeot = \"5m\"\n",
            "[[gate]]\nname = \"x\"\nrun = \"true\"\ntimeout = \"soon\"\n",
            "[[gate]]\nname = \"x\"\nrun = \"true\"\ntimeout = \"0s\"\n",
            "[[gate]]\nname = \"x\"\nrun = \"true\"\n[[gate]]\nname = \"x\"\nrun = \"false\"\n",
            "gate = 3\n",
        ] {
            assert!(parse_config(bad).is_err(), "{bad:?} must be refused");
        }
        assert_eq!(parse_config("[other]\nkey = 1\n"), Ok(vec![]));
    }
}

#[cfg(test)]
#[path = "gates_fuzz.rs"]
mod fuzz;
