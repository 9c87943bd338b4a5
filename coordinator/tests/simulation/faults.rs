//! What can go wrong.

use std::collections::BTreeMap;

macro_rules! faults {
    ($($(#[$meta:meta])* $fault:ident: $weight:literal,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault { $($(#[$meta])* $fault),+ }

        impl Fault {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// How likely it is beside the others; none for those that strike single messages.
            const fn weight(self) -> u64 {
                match self { $(Self::$fault => $weight),+ }
            }
        }
    };
}

faults! {
    /// A message is lost, and its connection soon after.
    Loss: 0,
    /// A message arrives twice.
    Duplicate: 0,
    /// A message is overtaken by later ones.
    Reorder: 0,
    /// A message takes seconds.
    Delay: 0,
    /// A connection ends, and both sides know.
    Cut: 4,
    /// Nothing gets from an outpost to the coordinator for a while, or the other way round, or both.
    PartitionUp: 2,
    PartitionDown: 2,
    PartitionBoth: 3,
    /// The coordinator dies, and is started again.
    CoordinatorKilled: 3,
    /// The coordinator stands still, and does not know.
    CoordinatorFrozen: 2,
    /// An agent dies; its workers go on.
    AgentKilled: 4,
    /// An agent dies for good, while others live.
    AgentGone: 1,
    /// An outpost's terminal server dies, with every worker.
    TerminalLost: 1,
    /// The coordinator's clock is put forward by up to an hour.
    ClockForward: 2,
    ClockBack: 2,
    /// A person cancels an item that is worked on.
    Cancelled: 1,
    /// A person stops a worker.
    Stopped: 1,
}

/// Chooses one that strikes by itself.
pub(crate) fn choose(random: &mut fastrand::Rng) -> Fault {
    let all: u64 = Fault::ALL.iter().map(|fault| fault.weight()).sum();
    let mut left = random.u64(0..all);
    for fault in Fault::ALL {
        if left < fault.weight() {
            return *fault;
        }
        left -= fault.weight();
    }
    Fault::Cut
}

/// How often each struck.
pub(crate) type Struck = BTreeMap<Fault, u64>;
