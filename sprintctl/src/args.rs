//! Values on the command line that have a form of their own.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use sprint_core::text::UnknownWord;
use thiserror::Error;

/// Reads one word of an enumeration, and offers all of them in help and completions.
pub(crate) fn word<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err = UnknownWord> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|word| name(*word))).try_map(|text| text.parse::<T>())
}

/// How many a list is asked for: one more than it shows, so that it is known whether there are older ones.
pub(crate) fn one_more(limit: Option<u32>) -> u32 {
    limit.map_or(0, |limit| limit.saturating_add(1))
}

/// Cuts a list, the newest last, to its limit; answers whether there are older ones.
pub(crate) fn newest<T>(found: &mut Vec<T>, limit: Option<u32>) -> bool {
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let older = found.len().saturating_sub(most);
    found.drain(..older);
    older > 0
}

/// What a list says when its limit hides some.
pub(crate) const OLDER: &str = "older ones: the same command without --limit";

/// `KEY=VALUE`, as in `--require os=linux` or `--limit developer=3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
}

/// A text that is not `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidPair {
    #[error("\"{0}\" has no '='; write it as KEY=VALUE")]
    NoEqualsSign(String),
    #[error("\"{0}\" has nothing before its '='; write it as KEY=VALUE")]
    NoKey(String),
    #[error("{0}")]
    Key(String),
    #[error("{value:?} is not a valid value: {why}")]
    Value { value: String, why: String },
}

impl<K, V> FromStr for Pair<K, V>
where
    K: FromStr<Err: ToString>,
    V: FromStr<Err: ToString>,
{
    type Err = InvalidPair;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or_else(|| InvalidPair::NoEqualsSign(text.to_owned()))?;
        if key.is_empty() {
            return Err(InvalidPair::NoKey(text.to_owned()));
        }
        Ok(Self {
            key: key.parse().map_err(|error: K::Err| InvalidPair::Key(error.to_string()))?,
            value: value
                .parse()
                .map_err(|error: V::Err| InvalidPair::Value { value: value.to_owned(), why: error.to_string() })?,
        })
    }
}

/// Pairs as a map for the wire; of two with the same key the last is used.
pub(crate) fn map<K: ToString, V, M: FromIterator<(String, V)>>(pairs: Vec<Pair<K, V>>) -> M {
    pairs.into_iter().map(|pair| (pair.key.to_string(), pair.value)).collect()
}

/// Reads the address of a coordinator; a leading `http://` is forgiven.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid { Ok(address.to_owned()) } else { Err("write it as HOST:PORT, such as 127.0.0.1:50051".to_owned()) }
}

#[cfg(test)]
mod tests {
    use sprint_core::job::Role;

    use super::*;

    #[test]
    fn a_pair_is_split_at_its_first_equals_sign() {
        let pair = "test=A=1 make".parse::<Pair<String, String>>();
        assert_eq!(pair, Ok(Pair { key: "test".to_owned(), value: "A=1 make".to_owned() }));
        assert_eq!("a=".parse::<Pair<String, String>>().map(|pair| pair.value), Ok(String::new()));
    }

    #[test]
    fn a_pair_that_makes_no_sense_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Pair<Role, u32>>().unwrap_err().to_string();
        insta::assert_snapshot!(
            [refused("developer"), refused("=3"), refused("cook=3"), refused("developer=many")].join("\n")
        );
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:50051", "http://host:1/", "[::1]:50051"] {
            assert!(address(good).is_ok(), "{good:?} must be taken");
        }
        for bad in ["", "host", "host:", ":1", "host:0", "host:70000", "https://host:1/x"] {
            assert!(address(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
