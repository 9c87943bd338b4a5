//! Reading what agents say: whatever is not there, or is something else, is nothing.

use serde_json::Value;
use sprint_core::agent::{AgentFault, FaultKind, Tokens};
use sprint_core::time::Timestamp;

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

pub(super) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

/// US dollars, as millionths.
pub(super) fn dollars(value: &Value, key: &str) -> Option<u64> {
    let micros = value[key].as_f64()? * 1e6;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between the bounds")]
    (0.0..1e15).contains(&micros).then_some(micros.round() as u64)
}

pub(super) fn tokens(value: &Value, [input, cached, cache_written, output]: [&str; 4]) -> Tokens {
    let of = |key: &str| number(value, key);
    Tokens { input: of(input), cached: of(cached), cache_written: of(cache_written), output: of(output) }
}

/// What a text or a status says of why an agent cannot go on.
pub(super) fn fault(status: Option<u64>, why: &str) -> AgentFault {
    let kind = match status {
        Some(401 | 403) => FaultKind::NotLoggedIn,
        Some(429) => FaultKind::Limited,
        Some(500..=599) => FaultKind::Unavailable,
        Some(_) => FaultKind::Other,
        None => by_words(&why.to_lowercase()),
    };
    AgentFault { kind, why: why.to_owned(), until: None }
}

/// For agents that tell no status, in the words of an error: never in those of a model.
fn by_words(why: &str) -> FaultKind {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let has = |numbers: &[&str]| {
        why.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| numbers.contains(&word))
    };
    if has(&["401", "403"]) || says(&["unauthorized", "not logged in", "invalid api key", "authentication failed"]) {
        FaultKind::NotLoggedIn
    } else if has(&["429"]) || says(&["rate limit", "usage limit", "too many requests", "quota exceeded"]) {
        FaultKind::Limited
    } else if has(&["500", "502", "503", "504", "529"])
        || says(&["overloaded", "connection refused", "connection reset", "stream disconnected", "timed out"])
    {
        FaultKind::Unavailable
    } else {
        FaultKind::Other
    }
}

/// The same, with the time at which a limit ends, in seconds since the epoch.
pub(super) fn limited_until(mut fault: AgentFault, seconds: Option<u64>) -> AgentFault {
    let millis = seconds.and_then(|seconds| i64::try_from(seconds.checked_mul(1_000)?).ok());
    fault.until = millis.map(Timestamp::from_millis);
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_known_by_its_status_or_its_words() {
        for (status, why, kind) in [
            (Some(401), "x", FaultKind::NotLoggedIn),
            (Some(429), "x", FaultKind::Limited),
            (Some(529), "x", FaultKind::Unavailable),
            (Some(400), "bad", FaultKind::Other),
            (None, "unexpected status 401 Unauthorized", FaultKind::NotLoggedIn),
            (None, "exceeded retry limit, last status: 429 Too Many Requests", FaultKind::Limited),
            (None, "stream disconnected before completion", FaultKind::Unavailable),
            (None, "Not logged in · Please run /login", FaultKind::NotLoggedIn),
            (None, "no idea", FaultKind::Other),
            (None, "unexpected status 502, request 4a401f, cf-ray 8f401a", FaultKind::Unavailable),
            (Some(400), "401 in its words", FaultKind::Other),
        ] {
            assert_eq!(fault(status, why).kind, kind, "{status:?} {why}");
        }
    }
}
