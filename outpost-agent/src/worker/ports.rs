//! A range of TCP ports for each worker, so that servers of two workers do not get into each other's way.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sprint_core::ids::WorkerId;

/// How many ports a worker has.
const EACH: u16 = 10;
/// Below the ports that Linux gives to outgoing connections.
const FIRST: u16 = 20_000;
const RANGES: u16 = (32_760 - FIRST) / EACH;

/// Which worker has which range.
#[derive(Debug)]
pub(crate) struct Ports {
    /// The number of the range at which the search begins: agents on one host begin at different ones.
    start: u16,
    given: Mutex<BTreeMap<WorkerId, u16>>,
}

impl Ports {
    pub(crate) fn new(data: &Path) -> Self {
        let sum = data
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
        Self { start: sum % RANGES, given: Mutex::default() }
    }

    /// The worker's range: the one that it has, or a free one; none when all are in use.
    pub(crate) fn of(&self, worker: WorkerId) -> Option<RangeInclusive<u16>> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let first = if let Some(first) = given.get(&worker) {
            *first
        } else {
            let taken: Vec<u16> = given.values().copied().collect();
            let all = (0..RANGES).map(|number| FIRST + (self.start + number) % RANGES * EACH);
            let first = all.filter(|first| !taken.contains(first)).find(|first| is_free(*first))?;
            given.insert(worker, first);
            first
        };
        Some(first..=first + EACH - 1)
    }

    /// Remembers what a worker was given by an earlier run of the agent.
    pub(crate) fn adopt(&self, worker: WorkerId, first: u16) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, first);
    }

    pub(crate) fn give_back(&self, worker: WorkerId) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
    }
}

/// Whether nobody listens on any port of a range.
fn is_free(first: u16) -> bool {
    (first..first + EACH).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_have_ranges_of_their_own_and_keep_them() {
        let ports = Ports::new(Path::new("/data"));
        let [one, two, three] = [1, 2, 3].map(WorkerId::new);
        let of_one = ports.of(one).expect("is free");
        let of_two = ports.of(two).expect("is free");
        assert!(of_one.end() < of_two.start() || of_two.end() < of_one.start(), "{of_one:?} {of_two:?}");
        assert_eq!(ports.of(one), Some(of_one.clone()));
        ports.give_back(one);
        ports.adopt(three, *of_one.start());
        assert_ne!(ports.of(one), Some(of_one));
    }

    #[test]
    fn a_range_in_which_somebody_listens_is_passed_over() {
        let ports = Ports::new(Path::new("/elsewhere"));
        let first = ports.of(WorkerId::new(1)).expect("is free");
        ports.give_back(WorkerId::new(1));
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first.start() + 3)).expect("is free");
        assert_ne!(ports.of(WorkerId::new(2)), Some(first));
    }
}
