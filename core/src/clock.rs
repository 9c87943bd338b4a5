//! The coordinator's time: it never runs backwards, and a host's clock that jumps does no harm.

use std::time::Duration;

use crate::time::Timestamp;

/// A clock that follows the host's forwards at once, and is never set back: where the host's is behind,
/// this one runs at half its speed until both agree.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Microseconds since the epoch, at the last reading.
    time: i64,
    read_at: Duration,
}

impl Clock {
    /// A clock that shows `time` when the monotonic clock shows `at`.
    pub const fn new(time: Timestamp, at: Duration) -> Self {
        Self { time: time.as_millis().saturating_mul(1_000), read_at: at }
    }

    /// Puts it ahead, if it is behind.
    pub fn at_least(&mut self, time: Timestamp) {
        self.time = self.time.max(time.as_millis().saturating_mul(1_000));
    }

    /// The time, when the host's clock shows `wall` and its monotonic clock `at`.
    pub fn read(&mut self, wall: Timestamp, at: Duration) -> Timestamp {
        let passed = i64::try_from(at.saturating_sub(self.read_at).as_micros()).unwrap_or(i64::MAX);
        self.read_at = self.read_at.max(at);
        self.time = self.time.saturating_add(passed / 2).max(wall.as_millis().saturating_mul(1_000));
        Timestamp::from_millis(self.time / 1_000)
    }
}

/// The time during which this process was awake. While it is stopped, or its host sleeps, it receives nothing,
/// and that is not the fault of any outpost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Awake {
    passed: Duration,
    looked_at: Duration,
}

impl Awake {
    /// The longest time between two looks that counts in full. Waiting code reads the clock more often.
    pub const STEP: Duration = Duration::from_secs(1);

    pub const fn new(at: Duration) -> Self {
        Self { passed: Duration::ZERO, looked_at: at }
    }

    /// The time so far, when the monotonic clock shows `at`.
    pub fn look(&mut self, at: Duration) -> Duration {
        self.passed += at.saturating_sub(self.looked_at).min(Self::STEP);
        self.looked_at = self.looked_at.max(at);
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_followed_and_one_that_jumps_back_is_waited_for() {
        let wall = Timestamp::from_millis;
        let mut clock = Clock::new(wall(1_000_000), millis(0));
        assert_eq!(clock.read(wall(1_000_500), millis(500)), wall(1_000_500));
        assert_eq!(clock.read(wall(4_600_600), millis(600)), wall(4_600_600));
        // The hour is taken back: half speed, until the host's clock is there.
        assert_eq!(clock.read(wall(1_002_600), millis(2_600)), wall(4_601_600));
        assert_eq!(clock.read(wall(4_700_000), millis(3_700_000)), wall(6_450_300));
        assert_eq!(clock.read(wall(9_000_000), millis(8_000_000)), wall(9_000_000));
    }

    #[test]
    fn time_for_which_the_process_was_stopped_does_not_count_as_waiting() {
        let mut awake = Awake::new(millis(5_000));
        assert_eq!(awake.look(millis(5_400)), millis(400));
        assert_eq!(awake.look(millis(6_400)), millis(1_400));
        assert_eq!(awake.look(millis(3_600_000)), millis(2_400));
        assert_eq!(awake.look(millis(3_600_100)), millis(2_500));
    }

    proptest! {
        #[test]
        fn time_never_runs_backwards_and_never_stands_still(
            readings in prop::collection::vec((-4_000_000_i64..4_000_000, 2_u64..100_000), 1..50)
        ) {
            let mut clock = Clock::new(Timestamp::from_millis(10_000_000), Duration::ZERO);
            let (mut at, mut before) = (0, Timestamp::from_millis(10_000_000));
            for (jump, step) in readings {
                at += step;
                let now = clock.read(Timestamp::from_millis(10_000_000 + jump), millis(at));
                prop_assert!(now > before);
                before = now;
            }
        }
    }
}
