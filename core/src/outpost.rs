//! An outpost: a host that offers slots for workers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::gates::duration_text;
use crate::ids::{KeyId, OutpostName};
use crate::time::Timestamp;

crate::words! {
    /// Whether an outpost takes work.
    pub enum OutpostState as "outpost state" {
        Online => "online",
        /// Connected, and given nothing new.
        Draining => "draining",
        Offline => "offline",
    }
}

/// An outpost as the coordinator keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outpost {
    pub name: OutpostName,
    /// The key that it proves its name with; none for one that joined before keys were asked for.
    #[serde(default)]
    pub key: Option<KeyId>,
    pub labels: BTreeMap<String, String>,
    pub max_workers: u32,
    pub state: OutpostState,
    pub version: String,
    /// Set by `outpost drain`, cleared by `outpost resume`; outlives connections.
    pub draining: bool,
    /// Why it takes nothing new for the time being, by its own word: too little disk, say.
    #[serde(default)]
    pub paused: Option<String>,
    /// How many of its last workers failed at once, one after the other.
    #[serde(default)]
    pub quick_failures: u32,
    /// It gets one try at a time while this is there.
    #[serde(default)]
    pub suspicion: Option<Suspicion>,
    /// How long it keeps its leases while it is cut off; the coordinator's own setting when none.
    #[serde(with = "duration_text::optional", default)]
    pub disconnect_grace: Option<Duration>,
    pub joined_at: Timestamp,
    pub last_seen: Timestamp,
}

/// Why an outpost is suspect: its last workers all failed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspicion {
    /// What the last of them said.
    pub reason: String,
    pub since: Timestamp,
    /// Its next try.
    pub retry_at: Timestamp,
}

/// The end of a worker, as far as it says something of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// Its command ran for a while, or well.
    Well,
    /// It failed within seconds.
    Failed { reason: String },
}

/// A worker that failed within so long failed at once.
pub const QUICK: Duration = Duration::from_secs(5);
/// How many failures in a row make an outpost suspect.
pub const SUSPECT_AFTER: u32 = 3;
/// The longest pause between the tries of one that is suspect.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

crate::noun!(Outpost, "outpost", "name");

impl EventKind {
    pub const OUTPOST_JOINED: Self = Self::new("outpost_joined");
    pub const OUTPOST_CONNECTED: Self = Self::new("outpost_connected");
    pub const OUTPOST_DISCONNECTED: Self = Self::new("outpost_disconnected");
    pub const OUTPOST_DRAINING: Self = Self::new("outpost_draining");
    pub const OUTPOST_CHANGED: Self = Self::new("outpost_changed");
    pub const OUTPOST_PAUSED: Self = Self::new("outpost_paused");
    pub const OUTPOST_UNPAUSED: Self = Self::new("outpost_unpaused");
    pub const OUTPOST_FOUND_SESSION: Self = Self::new("outpost_found_session");
    pub const OUTPOST_RESUMED: Self = Self::new("outpost_resumed");
    pub const OUTPOST_REMOVED: Self = Self::new("outpost_removed");
    pub const OUTPOST_DOUBTED: Self = Self::new("outpost_doubted");
    pub const OUTPOST_SUSPECT: Self = Self::new("outpost_suspect");
    pub const OUTPOST_TRUSTED: Self = Self::new("outpost_trusted");
}

/// The last load report of an outpost's host; never stored.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Load {
    /// One-minute load average.
    pub load1: f64,
    pub free_disk_bytes: u64,
    pub free_memory_bytes: u64,
}

impl Outpost {
    /// How many workers it gets at one time.
    pub const fn most(&self) -> u32 {
        if self.suspicion.is_some() { 1 } else { self.max_workers }
    }

    /// Takes the end of one of its workers for what it says of the host; answers whether it is suspect from now on, or
    /// no more. None when that stays as it was.
    pub fn learn(&mut self, sign: Sign, now: Timestamp) -> Option<bool> {
        match sign {
            Sign::Well => {
                self.quick_failures = 0;
                self.suspicion.take().map(|_| false)
            }
            Sign::Failed { reason } => {
                self.quick_failures = self.quick_failures.saturating_add(1);
                let beyond = self.quick_failures.checked_sub(SUSPECT_AFTER)?;
                // A second, and twice as long each time.
                let pause = Duration::from_secs(1 << beyond.min(16)).min(LONGEST_PAUSE);
                let known = self.suspicion.as_ref().map(|known| known.since);
                let since = known.unwrap_or(now);
                self.suspicion = Some(Suspicion { reason, since, retry_at: now.plus(pause) });
                known.is_none().then_some(true)
            }
        }
    }

    /// Takes its coming back for a reason to try it at once: what it lacked may be there now.
    pub fn try_at_once(&mut self, now: Timestamp) {
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.retry_at = suspicion.retry_at.min(now);
        }
    }

    /// The state that follows from being connected or not.
    pub fn settle(&mut self, connected: bool) {
        self.state = match (connected, self.draining) {
            (false, _) => OutpostState::Offline,
            (true, true) => OutpostState::Draining,
            (true, false) => OutpostState::Online,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn an_outpost_is_suspect_after_failures_in_a_row_and_recovers_with_one_that_is_well() {
        let mut outpost = Outpost { max_workers: 8, ..fixtures::outpost() };
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let failed = || Sign::Failed { reason: "command not found".to_owned() };
        assert_eq!((outpost.learn(failed(), at(1)), outpost.learn(failed(), at(2))), (None, None));
        assert_eq!(outpost.learn(Sign::Well, at(3)), None, "the row is broken");
        for second in [4, 5] {
            assert_eq!(outpost.learn(failed(), at(second)), None);
        }
        assert_eq!((outpost.most(), outpost.learn(failed(), at(6)), outpost.most()), (8, Some(true), 1));
        let mut pauses = vec![];
        for second in 7..20 {
            assert_eq!(outpost.learn(failed(), at(second)), None, "it is known");
            let doubt = outpost.suspicion.as_ref().expect("it is suspect");
            assert_eq!((doubt.since, doubt.reason.as_str()), (at(6), "command not found"));
            pauses.push(doubt.retry_at.since(at(second)).as_secs());
        }
        assert_eq!(pauses[..9], [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        outpost.try_at_once(at(20));
        let doubt = outpost.suspicion.as_ref().expect("it is suspect all the same");
        assert_eq!((doubt.retry_at, outpost.most()), (at(20), 1));
        assert_eq!((outpost.learn(Sign::Well, at(30)), outpost.most()), (Some(false), 8));
    }
}
