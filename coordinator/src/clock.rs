//! Where time comes from: the host, or a simulation.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sprint_core::clock::Clock;
use sprint_core::time::Timestamp;

/// A host's two clocks.
pub trait Host: Send + Sync {
    /// The clock that people set.
    fn wall(&self) -> Timestamp;
    /// The time since some moment; it does not jump.
    fn monotonic(&self) -> Duration;
}

/// The host that this process runs on.
struct ThisHost {
    started: Instant,
}

impl Host for ThisHost {
    fn wall(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The coordinator's time.
pub struct Time {
    host: Box<dyn Host>,
    clock: Mutex<Clock>,
}

impl Time {
    pub fn of_this_host() -> Self {
        Self::of(ThisHost { started: Instant::now() })
    }

    pub fn of(host: impl Host + 'static) -> Self {
        let clock = Mutex::new(Clock::new(host.wall(), host.monotonic()));
        Self { host: Box::new(host), clock }
    }

    /// The time that the record is kept in.
    pub fn now(&self) -> Timestamp {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.read(self.host.wall(), self.host.monotonic())
    }

    /// Takes over where an earlier run has left the record.
    pub fn at_least(&self, time: Timestamp) {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).at_least(time);
    }

    /// The time since some moment, by a clock that cannot be set.
    pub fn elapsed(&self) -> Duration {
        self.host.monotonic()
    }
}

/// What this host's clock shows, for certificates and tokens: others judge them by their own.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}
