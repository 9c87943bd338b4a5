//! Recent refusals, counted by address: a flood must not fill the record.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which refusals from one address are counted together.
const WINDOW: Duration = Duration::from_mins(1);

/// Refusals from one address in a window that have an event of their own: further ones
/// are counted, so that no address can fill the record with refusals.
const EVENTS_PER_WINDOW: u32 = 60;

/// The most addresses that are counted separately; the others are counted as one.
const ADDRESSES: usize = 4096;

/// The name of the addresses that are counted as one.
const OTHERS: &str = "(others)";

/// Texts from outside are cut to this before they are recorded.
const LONGEST: usize = 200;

/// The number of recent refusals of each address.
#[derive(Debug, Default)]
pub struct Refusals {
    recent: Mutex<HashMap<String, Recent>>,
}

#[derive(Debug)]
struct Recent {
    since: Instant,
    recorded: u32,
    /// Those after the last that was recorded, with what and why of the newest.
    counted: Option<(u32, String, String)>,
}

impl Refusals {
    /// Notes a refusal; says whether it has an event of its own.
    pub(crate) fn note(&self, address: &str, what: &str, why: &str, now: Instant) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let address = if recent.len() >= ADDRESSES && !recent.contains_key(address) { OTHERS } else { address };
        let entry =
            recent.entry(address.to_owned()).or_insert_with(|| Recent { since: now, recorded: 0, counted: None });
        if entry.recorded < EVENTS_PER_WINDOW {
            entry.recorded += 1;
            return true;
        }
        let times = entry.counted.as_ref().map_or(0, |(times, _, _)| *times);
        entry.counted = Some((times.saturating_add(1), what.to_owned(), why.to_owned()));
        false
    }

    /// Takes the counts of the windows that are over.
    pub(crate) fn take_over(&self, now: Instant) -> Vec<(String, u32, String, String)> {
        let mut over = Vec::new();
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).retain(|address, entry| {
            if now.duration_since(entry.since) < WINDOW {
                return true;
            }
            if let Some((times, what, why)) = entry.counted.take() {
                over.push((address.clone(), times, what, why));
            }
            false
        });
        over
    }
}

/// An address without its port.
pub(crate) fn host(from: &str) -> &str {
    from.rsplit_once(':').map_or(from, |(host, _)| host)
}

/// A text from outside, on one line and cut to the limit.
pub(crate) fn cut(text: &str) -> String {
    let plain = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    plain.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    #[test]
    fn an_address_that_is_refused_too_often_is_counted_and_not_recorded_each_time() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let own = (0..100).filter(|_| refusals.note("10.0.0.1", "Link/Session", "no certificate", now)).count();
        assert_eq!(own, 60);
        assert!(refusals.note("10.0.0.2", "Link/Session", "no certificate", now), "another is not held to it");
        assert!(refusals.take_over(now).is_empty(), "the window is not over");
        let over = refusals.take_over(now + WINDOW);
        assert_eq!(over.len(), 1);
        assert_eq!((over[0].0.as_str(), over[0].1), ("10.0.0.1", 40));
        assert!(refusals.note("10.0.0.1", "Link/Session", "no certificate", now + WINDOW));
    }

    #[test]
    fn a_flood_from_many_addresses_takes_bounded_room() {
        let refusals = Refusals::default();
        let now = Instant::now();
        for address in 0..ADDRESSES * 2 {
            refusals.note(&address.to_string(), "x", "y", now);
        }
        assert!(refusals.recent.lock().expect("not poisoned").len() <= ADDRESSES + 1);
    }

    #[test]
    fn what_is_recorded_is_one_short_line() {
        assert_eq!(cut("a\r\nb\0c"), "a  b c");
        assert_eq!(cut(&"x".repeat(1000)).len(), LONGEST);
        assert_eq!(host("[::1]:50051"), "[::1]");
    }
    proptest! {
        /// Whatever comes from outside is one line of bounded length in the record.
        #[test]
        fn fuzz_what_is_recorded_is_one_short_line(text in texts(&["git GET /git/web.git/info/refs", "[::1]:50051"])) {
            let recorded = cut(&text);
            prop_assert!(recorded.chars().count() <= LONGEST && !recorded.chars().any(char::is_control));
            prop_assert!(text.starts_with(host(&text)));
        }
    }
}
