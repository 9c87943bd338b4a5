//! Whether the outpost has headroom for new work: on its disk, within its quota, and for undelivered reports.

/// The most finished workers that may wait for the coordinator to take their reports.
const MAX_UNDELIVERED: usize = 1_000;
/// The most bytes of their journals.
const MAX_JOURNALS: u64 = 64 << 20;
/// Of a small file system only this part has to be free: 1/20.
const SMALL: u64 = 20;

/// The configured limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskPolicy {
    /// Bytes that are to stay free on the disk.
    pub(crate) free: u64,
    /// Bytes that the data directory may have.
    pub(crate) most: Option<u64>,
}

/// The measured space, and the workers whose reports are not delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Headroom {
    pub(super) total: u64,
    pub(super) free: u64,
    /// Bytes in the data directory, once they are known.
    pub(super) used: Option<u64>,
    pub(super) undelivered: usize,
    pub(super) journals: u64,
}

/// Why nothing new is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    LowDisk,
    Quota,
    Undelivered,
}

/// A cause, and how it was when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(super) cause: Shortage,
    pub(crate) reason: String,
}

impl Headroom {
    /// What is to be free now; more than at first once the disk was low, so that work does not come and go.
    fn threshold(&self, policy: DiskPolicy, before: Option<Shortage>) -> u64 {
        let least = policy.free.min(self.total / SMALL);
        if before == Some(Shortage::LowDisk) { least.saturating_add(least / 5) } else { least }
    }

    pub(super) fn is_low(&self, policy: DiskPolicy, before: Option<Shortage>) -> bool {
        self.free < self.threshold(policy, before)
    }

    fn cause(&self, policy: DiskPolicy, before: Option<Shortage>) -> Option<Shortage> {
        let less_after = |cause: Shortage, most: u64| if before == Some(cause) { most - most / 6 } else { most };
        if self.is_low(policy, before) {
            return Some(Shortage::LowDisk);
        }
        let over = |used: u64| policy.most.is_some_and(|most| used > less_after(Shortage::Quota, most));
        if self.used.is_some_and(over) {
            return Some(Shortage::Quota);
        }
        let undelivered = u64::try_from(self.undelivered).unwrap_or(u64::MAX);
        let most = less_after(Shortage::Undelivered, MAX_UNDELIVERED as u64);
        let full = undelivered >= most || self.journals >= less_after(Shortage::Undelivered, MAX_JOURNALS);
        full.then_some(Shortage::Undelivered)
    }

    /// Decides whether to pause. The reason keeps its words for as long as the cause stays.
    pub(super) fn pause(&self, policy: DiskPolicy, before: Option<&Pause>) -> Option<Pause> {
        let cause = self.cause(policy, before.map(|pause| pause.cause))?;
        if let Some(same) = before.filter(|pause| pause.cause == cause) {
            return Some(same.clone());
        }
        let reason = match cause {
            Shortage::LowDisk => format!(
                "less than {} of disk is free ({}); free some, or lower --min-free-disk",
                size(self.threshold(policy, None)),
                size(self.free)
            ),
            Shortage::Quota => format!(
                "the data directory holds {}, more than --max-disk {}; remove kept work, or raise the limit",
                size(self.used.unwrap_or_default()),
                size(policy.most.unwrap_or_default())
            ),
            Shortage::Undelivered => {
                format!("{} finished workers wait for the coordinator to take their reports", self.undelivered)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const WANTED: DiskPolicy = DiskPolicy { free: GIB, most: Some(60 * GIB) };
    const PLENTY: Headroom = Headroom { total: 100 * GIB, free: 50 * GIB, used: None, undelivered: 0, journals: 0 };

    #[test]
    fn what_is_short_pauses_and_more_than_enough_ends_it() {
        use Shortage::{LowDisk, Quota, Undelivered};
        let free = |free| Headroom { free, ..PLENTY };
        let used = |used| Headroom { used: Some(used), ..PLENTY };
        let waiting = |undelivered| Headroom { undelivered, ..PLENTY };
        let cases = [
            ("plenty", PLENTY, None, None),
            ("just enough", free(GIB), None, None),
            ("not enough", free(GIB - 1), None, Some(LowDisk)),
            ("just enough again", free(GIB), Some(LowDisk), Some(LowDisk)),
            ("a fifth more", free(GIB + GIB / 5), Some(LowDisk), None),
            ("a small disk", Headroom { total: GIB, free: GIB / 10, ..PLENTY }, None, None),
            ("a small disk that is full", Headroom { total: GIB, free: GIB / 21, ..PLENTY }, None, Some(LowDisk)),
            ("a disk that cannot be asked", Headroom { total: 0, free: u64::MAX, ..PLENTY }, None, None),
            ("the quota", used(60 * GIB), None, None),
            ("more than the quota", used(60 * GIB + 1), None, Some(Quota)),
            ("the quota again", used(60 * GIB), Some(Quota), Some(Quota)),
            ("five sixths of it", used(50 * GIB), Some(Quota), None),
            ("many reports", waiting(MAX_UNDELIVERED - 1), None, None),
            ("too many reports", waiting(MAX_UNDELIVERED), None, Some(Undelivered)),
            ("many reports again", waiting(MAX_UNDELIVERED - 1), Some(Undelivered), Some(Undelivered)),
            ("few reports", waiting(MAX_UNDELIVERED / 2), Some(Undelivered), None),
            ("long reports", Headroom { journals: MAX_JOURNALS, ..PLENTY }, None, Some(Undelivered)),
            (
                "two things at once",
                Headroom { undelivered: MAX_UNDELIVERED, ..free(0) },
                Some(Undelivered),
                Some(LowDisk),
            ),
        ];
        for (what, room, before, expected) in cases {
            assert_eq!(room.cause(WANTED, before), expected, "{what}");
        }
        assert_eq!(used(u64::MAX).cause(DiskPolicy { most: None, ..WANTED }, None), None);
    }

    #[test]
    fn the_reason_says_what_to_do_and_does_not_change_with_every_byte() {
        let low = Headroom { free: GIB / 2, ..PLENTY };
        let pause = low.pause(WANTED, None).expect("is low");
        assert_eq!(pause.reason, "less than 1.0 GiB of disk is free (512.0 MiB); free some, or lower --min-free-disk");
        let lower = Headroom { free: 7, ..PLENTY };
        assert_eq!(lower.pause(WANTED, Some(&pause)), Some(pause.clone()));
        let waiting = Headroom { undelivered: 1_234, ..PLENTY };
        let reason = waiting.pause(WANTED, Some(&pause)).expect("is full").reason;
        assert_eq!(reason, "1234 finished workers wait for the coordinator to take their reports");
        assert_eq!((size(0), size(1023), size(1536)), ("0 B".to_owned(), "1023 B".to_owned(), "1.5 KiB".to_owned()));
    }
}
