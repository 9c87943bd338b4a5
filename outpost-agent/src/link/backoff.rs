//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(5);

/// Exponential, and jittered so that a fleet does not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause, for a random number from 0 to 1.
    pub(super) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(LAST);
        pause
    }

    /// A try has succeeded.
    pub(super) const fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds_and_begin_again_after_a_success() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.pause(1.0), FIRST);
        assert_eq!(backoff.pause(0.0), FIRST);
        for _ in 0..20 {
            assert!(backoff.pause(1.0) <= LAST);
        }
        assert_eq!(backoff.pause(1.0), LAST);
        backoff.reset();
        assert_eq!(backoff.pause(1.0), FIRST);
    }
}
