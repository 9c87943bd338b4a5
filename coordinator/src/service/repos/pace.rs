//! The pauses between tries to push to an upstream that does not take it.

use std::time::Duration;

use sprint_core::address::RepoAddress;
use sprint_core::time::Timestamp;

/// The pause after the first failed push; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_LAST: Duration = Duration::from_mins(1);
/// The longest pause for an upstream on this host, where a push costs nothing.
const PAUSE_LAST_HERE: Duration = Duration::from_secs(10);

/// When an upstream that does not take a push is tried again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
    not_before: Option<Timestamp>,
}

impl Pace {
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    pub(crate) fn failed(&mut self, now: Timestamp, address: &RepoAddress) {
        let last = if address.path().is_some() { PAUSE_LAST_HERE } else { PAUSE_LAST };
        let pause = PAUSE_FIRST.saturating_mul(1 << self.failures.min(10)).min(last);
        self.failures += 1;
        self.not_before = Some(now.plus(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        for (address, last) in [("https://example.org/web.git", 60), ("/srv/web", 10)] {
            let address = RepoAddress::new(address).expect("an address");
            let mut pace = Pace::default();
            assert!(pace.is_due(at(0)));
            for pause in [5, 10, 20, 40, 60, 60].map(|pause: i64| pause.min(last)) {
                pace.failed(at(100), &address);
                assert!(!pace.is_due(at(100 + pause - 1)) && pace.is_due(at(100 + pause)), "{address} {pause}");
            }
        }
    }
}
