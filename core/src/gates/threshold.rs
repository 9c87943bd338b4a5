//! Thresholds, as a person writes them: `coverage >= 80`, `errors = 0`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use super::report::{Metric, Unit};

crate::words! {
    /// How a figure is held against its bound.
    pub enum Comparison as "comparison" {
        AtLeast => ">=",
        AtMost => "<=",
        Above => ">",
        Below => "<",
        Exactly => "=",
    }
}

/// A bound's unit is a thousandth: definitions of gates are compared, and whole numbers can be.
const PARTS: u64 = 1000;
const DIGITS: usize = 3;
const GREATEST: u64 = 1_000_000_000_000;

/// The number that a figure is held against: from 0, with at most three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bound(u64);

impl Bound {
    pub const ZERO: Self = Self(0);
    const HUNDRED: Self = Self(100 * PARTS);

    /// The same as a floating-point number.
    #[expect(clippy::cast_precision_loss, reason = "bounds are below 2^53")]
    pub fn number(self) -> f64 {
        self.0 as f64 / PARTS as f64
    }

    const fn is_whole(self) -> bool {
        self.0.is_multiple_of(PARTS)
    }

    fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > DIGITS {
            return None;
        }
        let whole = whole.parse::<u64>().ok().filter(|whole| *whole <= GREATEST)?;
        let decimals = format!("{decimals:0<DIGITS$}").parse::<u64>().ok()?;
        Some(Self(whole * PARTS + decimals))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / PARTS)?;
        match self.0 % PARTS {
            0 => Ok(()),
            rest => f.write_str(format!(".{rest:0DIGITS$}").trim_end_matches('0')),
        }
    }
}

/// What a figure of a report must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Threshold {
    pub metric: Metric,
    pub comparison: Comparison,
    pub bound: Bound,
}

/// Why a text is not a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidThreshold {
    #[error("write a metric, one of {}, and a number, as in \"coverage >= 80\"", list(Comparison::ALL))]
    Form,
    #[error("there is no metric \"{0}\"; there are {all}", all = list(Metric::ALL))]
    Metric(String),
    #[error("\"{0}\" is not a number from 0 with at most three decimals")]
    Number(String),
    #[error("{0} is a count; take a whole number")]
    NotWhole(Metric),
    #[error("{0} is not a percentage; leave the % out")]
    NotPercent(Metric),
    #[error("{0} is a percentage; it is at most 100")]
    Above100(Metric),
    #[error("no {0} can be so; choose another number")]
    Never(Metric),
}

fn list<T: fmt::Display>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let operator = |character: char| matches!(character, '<' | '>' | '=');
        let start = text.find(operator).ok_or(InvalidThreshold::Form)?;
        let (metric, rest) = text.split_at(start);
        let (comparison, number) = rest.split_at(rest.find(|character| !operator(character)).unwrap_or(rest.len()));
        let (metric, number) = (metric.trim(), number.trim());
        if metric.is_empty() || number.is_empty() {
            return Err(InvalidThreshold::Form);
        }
        let comparison = match comparison {
            "==" => Comparison::Exactly,
            other => other.parse().map_err(|_| InvalidThreshold::Form)?,
        };
        let metric: Metric = metric.parse().map_err(|_| InvalidThreshold::Metric(metric.to_owned()))?;
        let bare = number.strip_suffix('%').map(str::trim_end);
        if bare.is_some() && metric.unit() != Unit::Percent {
            return Err(InvalidThreshold::NotPercent(metric));
        }
        let bound = Bound::parse(bare.unwrap_or(number)).ok_or_else(|| InvalidThreshold::Number(number.to_owned()))?;
        if metric.unit() == Unit::Count && !bound.is_whole() {
            return Err(InvalidThreshold::NotWhole(metric));
        }
        if metric.unit() == Unit::Percent && bound > Bound::HUNDRED {
            return Err(InvalidThreshold::Above100(metric));
        }
        let never = match comparison {
            Comparison::Below => bound == Bound::ZERO,
            Comparison::Above => metric.unit() == Unit::Percent && bound == Bound::HUNDRED,
            Comparison::AtLeast | Comparison::AtMost | Comparison::Exactly => false,
        };
        if never { Err(InvalidThreshold::Never(metric)) } else { Ok(Self { metric, comparison, bound }) }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, comparison, bound } = self;
        write!(f, "{metric} {comparison} {bound}{}", self.sign())
    }
}

impl Threshold {
    /// Whether this figure is as it must be; one that is not a number never is.
    pub fn holds(&self, figure: f64) -> bool {
        let order = figure.partial_cmp(&self.bound.number());
        order.is_some_and(|order| match self.comparison {
            Comparison::AtLeast => order.is_ge(),
            Comparison::AtMost => order.is_le(),
            Comparison::Above => order.is_gt(),
            Comparison::Below => order.is_lt(),
            Comparison::Exactly => order.is_eq(),
        })
    }

    /// The text for a figure that misses the threshold, such as `Coverage 65% < 80%`; none when it holds.
    pub fn shortfall(&self, figure: f64) -> Option<String> {
        if self.holds(figure) {
            return None;
        }
        let (metric, sign) = (self.metric.title(), self.sign());
        let bound = self.bound.to_string();
        let Some(order) = figure.partial_cmp(&self.bound.number()) else {
            return Some(format!("{metric} is not a number"));
        };
        let relation = match (self.comparison, order) {
            (Comparison::Above, _) => Comparison::AtMost,
            (Comparison::Below, _) => Comparison::AtLeast,
            (Comparison::AtLeast | Comparison::AtMost | Comparison::Exactly, Ordering::Less) => Comparison::Below,
            (Comparison::AtLeast | Comparison::AtMost | Comparison::Exactly, Ordering::Equal | Ordering::Greater) => {
                Comparison::Above
            }
        };
        let mut shown = short(figure, order);
        if shown == bound && order.is_ne() {
            // So close that rounding would hide the difference.
            shown = figure.to_string();
        }
        Some(format!("{metric} {shown}{sign} {relation} {bound}{sign}"))
    }

    const fn sign(&self) -> &'static str {
        match self.metric.unit() {
            Unit::Percent => "%",
            Unit::Count | Unit::Score => "",
        }
    }
}

/// With at most two decimals, rounded away from the bound's side: what falls short never looks as if it did not.
fn short(figure: f64, against_bound: Ordering) -> String {
    let hundredths = figure * 100.0;
    // A number that was written with two decimals stays as it was.
    let near = hundredths.round();
    let rounded = if (hundredths - near).abs() < 1e-6 {
        near
    } else {
        match against_bound {
            Ordering::Less => hundredths.floor(),
            Ordering::Equal | Ordering::Greater => hundredths.ceil(),
        }
    };
    (rounded / 100.0).to_string()
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| D::Error::custom(format!("threshold \"{text}\": {error}")))
    }
}

#[cfg(test)]
#[path = "threshold_tests.rs"]
mod tests;
