//! The forms of values that several settings have.

use std::time::Duration;

use sprint_core::price::PriceTable;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write a duration such as 5m"))
}

pub(super) fn duration_above_zero(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| {
        if duration.is_zero() { Err("it is zero; write a duration such as 5s".to_owned()) } else { Ok(duration) }
    })
}

/// Reads a file of prices: one that cannot be used keeps the coordinator from starting.
pub(super) fn prices(path: &str) -> Result<PriceTable, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    PriceTable::parse(&text).map_err(|error| format!("{path}: {error}"))
}
