//! Limits the failed tries to join from one address.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_mins(1);

/// Failed tries from one address in a window. Those that succeed are not counted: a thousand
/// outposts may join from behind one address. Fewer than the refusals that have an event of their own, so that
/// the flood is on record at once.
const MOST: u32 = 30;

/// The most addresses that are counted separately.
const ADDRESSES: usize = 4096;

/// The recent failed tries, by address.
#[derive(Debug, Default)]
pub struct EnrolmentThrottle {
    failed: Mutex<HashMap<String, (Instant, u32)>>,
}

impl EnrolmentThrottle {
    pub fn are_exhausted(&self, address: &str) -> bool {
        self.are_exhausted_at(address, Instant::now())
    }

    pub fn failed(&self, address: &str) {
        self.failed_at(address, Instant::now());
    }

    fn are_exhausted_at(&self, address: &str, now: Instant) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(address).is_some_and(|(since, count)| now.duration_since(*since) < WINDOW && *count >= MOST)
    }

    fn failed_at(&self, address: &str, now: Instant) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= ADDRESSES {
            failed.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            if failed.len() >= ADDRESSES {
                // So many addresses at once: who is forgotten first does not matter.
                failed.clear();
            }
        }
        let (since, count) = failed.entry(address.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_too_many_failures_waits_a_minute_and_others_do_not() {
        let attempts = EnrolmentThrottle::default();
        let now = Instant::now();
        for _ in 0..MOST {
            assert!(!attempts.are_exhausted_at("10.0.0.1", now));
            attempts.failed_at("10.0.0.1", now);
        }
        assert!(attempts.are_exhausted_at("10.0.0.1", now));
        assert!(!attempts.are_exhausted_at("10.0.0.2", now));
        assert!(!attempts.are_exhausted_at("10.0.0.1", now + WINDOW));
    }

    #[test]
    fn a_flood_from_many_addresses_takes_bounded_room() {
        let attempts = EnrolmentThrottle::default();
        let now = Instant::now();
        for address in 0..3 * ADDRESSES {
            attempts.failed_at(&address.to_string(), now);
        }
        assert!(attempts.failed.lock().expect("not poisoned").len() <= ADDRESSES);
    }
}
