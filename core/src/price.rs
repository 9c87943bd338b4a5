//! Prices of models, for agents that name no cost: a table with dates, which the operator keeps.

use globset::Glob;
use serde::Deserialize;
use thiserror::Error;

use crate::agent::{AgentSaid, Tokens};
use crate::time::Timestamp;

/// Millionths of a millionth of a dollar in a dollar for a million tokens, for each token.
const PICO: f64 = 1_000_000.0;

/// What a million tokens of a model cost, since a day.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Price {
    model: Glob,
    since: Timestamp,
    /// By kind, in millionths of a millionth of a dollar for each token.
    input: u64,
    cached: u64,
    cache_written: u64,
    output: u64,
}

/// The prices, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable(Vec<Price>);

/// Why a file of prices cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the prices cannot be read: {0}")]
pub struct InvalidPrices(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    price: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    model: String,
    since: toml::value::Datetime,
    input: f64,
    #[serde(default)]
    cached: Option<f64>,
    #[serde(default)]
    cache_written: Option<f64>,
    output: f64,
}

impl TryFrom<Entry> for Price {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let Entry { model, since, input, cached, cache_written, output } = entry;
        let day = format!("{since}T00:00:00Z");
        let since = humantime::parse_rfc3339(&day)
            .map_err(|_| format!("price of {model:?}: since is {since}; write a day, such as 2026-01-31"))?;
        let each = |what: &str, dollars: f64| {
            if !(0.0..=1_000_000.0).contains(&dollars) {
                return Err(format!("price of {model:?}: {what} is {dollars}; write US dollars for a million tokens"));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 10^12")]
            let pico = (dollars * PICO).round() as u64;
            Ok(pico)
        };
        let (input_price, output) = (each("input", input)?, each("output", output)?);
        // Without a word of it, what is cached costs what is not.
        let cached = each("cached", cached.unwrap_or(input))?;
        let cache_written = each("cache_written", cache_written.unwrap_or(input))?;
        let glob = Glob::new(&model).map_err(|error| format!("price of {model:?}: {error}"))?;
        Ok(Self { model: glob, since: since.into(), input: input_price, cached, cache_written, output })
    }
}

impl PriceTable {
    /// # Errors
    /// [`InvalidPrices`].
    pub fn parse(text: &str) -> Result<Self, InvalidPrices> {
        let file: File = toml::from_str(text).map_err(|error| InvalidPrices(error.to_string()))?;
        let prices = file.price.into_iter().map(Price::try_from).collect::<Result<_, _>>();
        prices.map(Self).map_err(InvalidPrices)
    }

    /// What tokens of a model cost at a time, in millionths of a dollar; none for a model that has no price then.
    pub fn cost(&self, model: &str, tokens: Tokens, at: Timestamp) -> Option<u64> {
        let found = self.0.iter().filter(|price| price.since <= at && price.model.compile_matcher().is_match(model));
        // Of two of one day the first counts.
        let price = found.rev().max_by_key(|price| price.since)?;
        let Tokens { input, cached, cache_written, output } = tokens;
        let parts = [
            (input, price.input),
            (cached, price.cached),
            (cache_written, price.cache_written),
            (output, price.output),
        ];
        let pico: u128 = parts.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price)).sum();
        Some(u64::try_from(pico / 1_000_000).unwrap_or(u64::MAX))
    }

    /// Puts a cost where an agent has named none.
    pub fn apply(&self, said: &mut AgentSaid, at: Timestamp) {
        for (model, usage) in &mut said.usage {
            if usage.cost_micros.is_none() {
                usage.cost_micros = self.cost(model, usage.tokens, at);
                usage.by_table = usage.cost_micros.is_some();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::agent::Usage;

    const FILE: &str = r#"
        [[price]]
        model = "gpt-5*"
        since = 2026-01-01
        input = 1.25
        cached = 0.125
        output = 10.0

        [[price]]
        model = "gpt-5*"
        since = 2026-06-01
        input = 1.0
        output = 8
    "#;

    fn day(text: &str) -> Timestamp {
        humantime::parse_rfc3339(&format!("{text}T12:00:00Z")).expect("a time").into()
    }

    #[test]
    fn the_price_of_the_day_counts_and_an_agents_own_word_stays() {
        let prices = PriceTable::parse(FILE).expect("is read");
        let tokens = Tokens { input: 1_000_000, cached: 2_000_000, cache_written: 0, output: 100_000 };
        assert_eq!(prices.cost("gpt-5-codex", tokens, day("2026-02-01")), Some(1_250_000 + 250_000 + 1_000_000));
        assert_eq!(prices.cost("gpt-5-codex", tokens, day("2026-06-01")), Some(3_000_000 + 800_000));
        assert_eq!(prices.cost("gpt-5", tokens, day("2025-12-31")), None);
        assert_eq!(prices.cost("opus", tokens, day("2026-06-01")), None);
        let usage = |cost_micros| Usage { tokens, cost_micros, ..Usage::default() };
        let mut said = AgentSaid {
            usage: BTreeMap::from([("gpt-5".to_owned(), usage(None)), ("gpt-5-mini".to_owned(), usage(Some(7)))]),
            ..AgentSaid::default()
        };
        prices.apply(&mut said, day("2026-07-01"));
        assert_eq!((said.usage["gpt-5"].cost_micros, said.usage["gpt-5"].by_table), (Some(3_800_000), true));
        assert_eq!((said.usage["gpt-5-mini"].cost_micros, said.usage["gpt-5-mini"].by_table), (Some(7), false));
    }

    #[test]
    fn what_is_no_price_is_named() {
        for (text, said) in [
            ("[[price]]\nmodel = \"a\"\nsince = 2026-01-01\ninput = 1", "output"),
            ("[[price]]\nmodel = \"a\"\nsince = 2026-01-01T10:00:00Z\ninput = 1\noutput = 1", "write a day"),
            ("[[price]]\nmodel = \"a\"\nsince = 2026-01-01\ninput = -1\noutput = 1", "US dollars for a million"),
            ("[[price]]\nmodel = \"a[\"\nsince = 2026-01-01\ninput = 1\noutput = 1", "a["),
            ("[[prices]]\nmodel = \"a\"", "prices"),
        ] {
            let refused = PriceTable::parse(text).expect_err(text).to_string();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
