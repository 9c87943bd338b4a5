//! Labels that an outpost must carry to run a gate.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// A label that an outpost must carry: `gpu`, or `gpu=a100`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    key: String,
    /// None: any value but `false`.
    value: Option<String>,
}

/// A text that is not a label.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it is not a label; write \"gpu\" for any outpost that has the label, or \"gpu=a100\" for one with this value")]
pub struct InvalidNeed;

impl Need {
    /// Whether an outpost with these labels will do.
    pub fn is_met(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key);
        match &self.value {
            Some(value) => label == Some(value),
            None => label.is_some_and(|label| label != "false"),
        }
    }
}

impl FromStr for Need {
    type Err = InvalidNeed;

    fn from_str(text: &str) -> Result<Self, InvalidNeed> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value.to_owned())));
        let odd = |character: char| character.is_whitespace() || character.is_control();
        if key.is_empty() || key.contains(odd) || value.as_deref().is_some_and(|value| value.contains(odd)) {
            return Err(InvalidNeed);
        }
        Ok(Self { key: key.to_owned(), value })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        self.value.iter().try_for_each(|value| write!(f, "={value}"))
    }
}

impl Serialize for Need {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| D::Error::custom(format!("\"{text}\": {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_met_by_its_label_with_any_value_or_with_the_one_it_names() {
        let labels = |value: &str| BTreeMap::from([("gpu".to_owned(), value.to_owned())]);
        for (need, value, met) in [
            ("gpu", "true", true),
            ("gpu", "a100", true),
            ("gpu", "", true),
            ("gpu", "false", false),
            ("gpu=a100", "a100", true),
            ("gpu=a100", "true", false),
            ("gpu=false", "false", true),
            ("gpu=", "", true),
            ("tpu", "true", false),
        ] {
            assert_eq!(need.parse::<Need>().expect("a need").is_met(&labels(value)), met, "{need} of gpu={value}");
        }
    }

    #[test]
    fn what_is_not_a_label_is_refused() {
        for bad in ["", "=x", "a b", "gpu = a100", "gpu=a\n"] {
            assert!(bad.parse::<Need>().is_err(), "{bad:?}");
        }
        assert_eq!("gpu=a=b".parse::<Need>().expect("a need").to_string(), "gpu=a=b");
    }
}
