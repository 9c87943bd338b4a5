//! Whether the outpost has room for new work: on its disk, within its quota, and for reports that nobody took yet.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::disk;

/// How often it is looked how much of the disk is free.
const LOOK: Duration = Duration::from_secs(2);
/// How often all that is kept is measured, which reads every directory.
const MEASURE: Duration = Duration::from_mins(1);
/// How long that waits for the host to be less busy.
const MEASURE_LATEST: Duration = Duration::from_mins(10);
/// So many finished workers may wait for a coordinator to take their reports.
const MAX_UNDELIVERED: usize = 1_000;
/// And so many bytes of their journals.
const MAX_JOURNALS: u64 = 64 << 20;
/// Of a small file system only one part in so many has to be free.
const SMALL: u64 = 20;

/// What the person in charge wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Bytes that are to stay free on the disk.
    pub(crate) free: u64,
    /// Bytes that the data directory may have.
    pub(crate) most: Option<u64>,
}

/// What there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Room {
    total: u64,
    free: u64,
    /// Bytes in the data directory, once they are known.
    used: Option<u64>,
    undelivered: usize,
    journals: u64,
}

/// Why nothing new is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    LowDisk,
    Quota,
    Undelivered,
}

/// A cause, and how it was when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    cause: Cause,
    pub(crate) reason: String,
}

impl Room {
    /// What is to be free now; more than at first once the disk was low, so that work does not come and go.
    fn threshold(&self, wanted: Wanted, before: Option<Cause>) -> u64 {
        let least = wanted.free.min(self.total / SMALL);
        if before == Some(Cause::LowDisk) { least.saturating_add(least / 5) } else { least }
    }

    fn is_low(&self, wanted: Wanted, before: Option<Cause>) -> bool {
        self.free < self.threshold(wanted, before)
    }

    fn cause(&self, wanted: Wanted, before: Option<Cause>) -> Option<Cause> {
        let less_after = |cause: Cause, most: u64| if before == Some(cause) { most - most / 6 } else { most };
        if self.is_low(wanted, before) {
            return Some(Cause::LowDisk);
        }
        let over = |used: u64| wanted.most.is_some_and(|most| used > less_after(Cause::Quota, most));
        if self.used.is_some_and(over) {
            return Some(Cause::Quota);
        }
        let undelivered = u64::try_from(self.undelivered).unwrap_or(u64::MAX);
        let most = less_after(Cause::Undelivered, MAX_UNDELIVERED as u64);
        let full = undelivered >= most || self.journals >= less_after(Cause::Undelivered, MAX_JOURNALS);
        full.then_some(Cause::Undelivered)
    }

    /// Decides. The words stay the same for as long as the cause does.
    fn pause(&self, wanted: Wanted, before: Option<&Pause>) -> Option<Pause> {
        let cause = self.cause(wanted, before.map(|pause| pause.cause))?;
        if let Some(same) = before.filter(|pause| pause.cause == cause) {
            return Some(same.clone());
        }
        let reason = match cause {
            Cause::LowDisk => format!(
                "less than {} of disk is free ({}); free some, or lower --min-free-disk",
                size(self.threshold(wanted, None)),
                size(self.free)
            ),
            Cause::Quota => format!(
                "the data directory holds {}, more than --max-disk {}; remove what is kept, or raise it",
                size(self.used.unwrap_or_default()),
                size(wanted.most.unwrap_or_default())
            ),
            Cause::Undelivered => format!("{} finished workers are not delivered yet", self.undelivered),
        };
        Some(Pause { cause, reason })
    }
}

/// A number of bytes as people read it.
fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10 + (1 << (shift - 1))) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// Keeps `agent.pause` true, for as long as the agent runs.
pub(crate) async fn watch(agent: Arc<Agent>) {
    let measured = watch::channel(None).0;
    let wanted = agent.settings.room;
    tokio::join!(look(&agent, wanted, &measured), measure(&agent, wanted, &measured));
}

async fn look(agent: &Arc<Agent>, wanted: Wanted, measured: &watch::Sender<Option<u64>>) {
    loop {
        let before = agent.pause.borrow().clone();
        let mut room = observe(agent, *measured.borrow());
        let low = room.is_low(wanted, before.as_ref().map(|pause| pause.cause));
        if agent.repositories.stay_lean(low).await {
            room = observe(agent, room.used);
        }
        let now = room.pause(wanted, before.as_ref());
        if now != before {
            if let Some(Pause { cause: _, reason }) = &now {
                tracing::warn!(reason, "nothing new is taken for the time being");
            } else {
                tracing::info!("new work is taken again");
            }
            agent.pause.send_replace(now);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn observe(agent: &Agent, used: Option<u64>) -> Room {
    // A disk that cannot be asked is not known to be low.
    let (total, free) = disk::total_and_free_bytes(agent.data.root()).unwrap_or((0, u64::MAX));
    let undelivered = agent.outbox.undelivered();
    let journal = |worker| std::fs::metadata(agent.data.worker(worker).journal()).map_or(0, |data| data.len());
    let journals = undelivered.iter().map(|worker| journal(*worker)).sum();
    Room { total, free, used, undelivered: undelivered.len(), journals }
}

/// Measures the data directory now and then, if it matters.
async fn measure(agent: &Arc<Agent>, wanted: Wanted, measured: &watch::Sender<Option<u64>>) {
    if wanted.most.is_none() {
        return;
    }
    loop {
        let root = agent.data.root().to_owned();
        match tokio::task::spawn_blocking(move || disk::used_bytes(&root)).await {
            Ok(Ok(used)) => {
                measured.send_replace(Some(used));
            }
            Ok(Err(error)) => tracing::warn!(%error, "the data directory cannot be measured"),
            Err(error) => tracing::error!(%error, "measuring the data directory panicked"),
        }
        let latest = Instant::now() + MEASURE_LATEST;
        tokio::time::sleep(MEASURE).await;
        while is_busy() && Instant::now() < latest {
            tokio::time::sleep(MEASURE / 10).await;
        }
    }
}

fn is_busy() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    let load = load.split('.').next().and_then(|whole| whole.parse::<usize>().ok());
    load.is_some_and(|load| load >= cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const WANTED: Wanted = Wanted { free: GIB, most: Some(60 * GIB) };
    const PLENTY: Room = Room { total: 100 * GIB, free: 50 * GIB, used: None, undelivered: 0, journals: 0 };

    #[test]
    fn what_is_short_pauses_and_more_than_enough_ends_it() {
        use Cause::{LowDisk, Quota, Undelivered};
        let free = |free| Room { free, ..PLENTY };
        let used = |used| Room { used: Some(used), ..PLENTY };
        let waiting = |undelivered| Room { undelivered, ..PLENTY };
        let cases = [
            ("plenty", PLENTY, None, None),
            ("just enough", free(GIB), None, None),
            ("not enough", free(GIB - 1), None, Some(LowDisk)),
            ("just enough again", free(GIB), Some(LowDisk), Some(LowDisk)),
            ("a fifth more", free(GIB + GIB / 5), Some(LowDisk), None),
            ("a small disk", Room { total: GIB, free: GIB / 10, ..PLENTY }, None, None),
            ("a small disk that is full", Room { total: GIB, free: GIB / 21, ..PLENTY }, None, Some(LowDisk)),
            ("a disk that cannot be asked", Room { total: 0, free: u64::MAX, ..PLENTY }, None, None),
            ("the quota", used(60 * GIB), None, None),
            ("more than the quota", used(60 * GIB + 1), None, Some(Quota)),
            ("the quota again", used(60 * GIB), Some(Quota), Some(Quota)),
            ("five sixths of it", used(50 * GIB), Some(Quota), None),
            ("many reports", waiting(MAX_UNDELIVERED - 1), None, None),
            ("too many reports", waiting(MAX_UNDELIVERED), None, Some(Undelivered)),
            ("many reports again", waiting(MAX_UNDELIVERED - 1), Some(Undelivered), Some(Undelivered)),
            ("few reports", waiting(MAX_UNDELIVERED / 2), Some(Undelivered), None),
            ("long reports", Room { journals: MAX_JOURNALS, ..PLENTY }, None, Some(Undelivered)),
            ("two things at once", Room { undelivered: MAX_UNDELIVERED, ..free(0) }, Some(Undelivered), Some(LowDisk)),
        ];
        for (what, room, before, expected) in cases {
            assert_eq!(room.cause(WANTED, before), expected, "{what}");
        }
        assert_eq!(used(u64::MAX).cause(Wanted { most: None, ..WANTED }, None), None);
    }

    #[test]
    fn the_reason_says_what_to_do_and_does_not_change_with_every_byte() {
        let low = Room { free: GIB / 2, ..PLENTY };
        let pause = low.pause(WANTED, None).expect("is low");
        assert_eq!(pause.reason, "less than 1.0 GiB of disk is free (512.0 MiB); free some, or lower --min-free-disk");
        let lower = Room { free: 7, ..PLENTY };
        assert_eq!(lower.pause(WANTED, Some(&pause)), Some(pause.clone()));
        let waiting = Room { undelivered: 1_234, ..PLENTY };
        let reason = waiting.pause(WANTED, Some(&pause)).expect("is full").reason;
        assert_eq!(reason, "1234 finished workers are not delivered yet");
        assert_eq!((size(0), size(1023), size(1536)), ("0 B".to_owned(), "1023 B".to_owned(), "1.5 KiB".to_owned()));
    }
}
