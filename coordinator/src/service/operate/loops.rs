//! What each loop does, and how its last pass went.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sprint_core::status::{LoopPass, LoopStatus};
use sprint_core::time::Timestamp;

use crate::metrics::METRICS;

/// The loops of this coordinator.
#[derive(Debug, Default)]
pub struct Loops {
    by_name: Mutex<BTreeMap<String, LoopStatus>>,
}

impl Loops {
    /// Notes that a pass begins.
    pub fn begin(&self, name: &str, at: Timestamp) {
        self.change(name, |status| status.running_since = Some(at));
    }

    /// Notes that the pass under way has ended.
    pub fn end(&self, name: &str, pass: LoopPass) {
        METRICS.passes.of(name.to_owned()).inc();
        METRICS.failures.of(name.to_owned()).inc_by(u64::from(pass.error.is_some()));
        self.change(name, |status| {
            status.passes += 1;
            status.failures += u64::from(pass.error.is_some());
            status.running_since = None;
            status.last_pass = Some(pass);
        });
    }

    /// All loops, by name.
    pub fn list(&self) -> Vec<LoopStatus> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets the loops that do not go on.
    pub fn retain(&self, goes_on: impl Fn(&str) -> bool) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| goes_on(name));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut LoopStatus)) {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        change(by_name.entry(name.to_owned()).or_insert_with(|| LoopStatus {
            name: name.to_owned(),
            passes: 0,
            failures: 0,
            running_since: None,
            last_pass: None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::status::PassReason;

    use super::*;

    #[test]
    fn a_pass_is_shown_while_it_runs_and_counted_when_it_has_ended() {
        let (loops, at) = (Loops::default(), Timestamp::from_millis(7));
        loops.begin("scheduler", at);
        let [running] = &loops.list()[..] else { panic!("one loop has begun") };
        assert_eq!((running.passes, running.running_since, &running.last_pass), (0, Some(at), &None));
        for error in [None, Some("the disk is full".to_owned())] {
            loops.begin("scheduler", at);
            loops.end("scheduler", LoopPass { at, reason: PassReason::Tick, duration_us: 5, error });
        }
        let [ended] = &loops.list()[..] else { panic!("it is the same loop") };
        assert_eq!((ended.passes, ended.failures, ended.running_since), (2, 1, None));
        assert_eq!(ended.last_pass.as_ref().and_then(|pass| pass.error.as_deref()), Some("the disk is full"));
    }
}
