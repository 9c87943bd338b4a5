//! What agents at work say of themselves. Nothing of it is stored: the record has what counts once a worker has ended.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sprint_core::agent::AgentSaid;
use sprint_core::ids::{OutpostName, WorkerId};

/// The last word of each agent at work, by outpost.
#[derive(Debug, Default)]
pub struct Activities {
    said: Mutex<HashMap<OutpostName, HashMap<WorkerId, AgentSaid>>>,
}

impl Activities {
    fn lock(&self) -> MutexGuard<'_, HashMap<OutpostName, HashMap<WorkerId, AgentSaid>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a word; those of workers that are not live any more go.
    pub(crate) fn take(&self, outpost: &OutpostName, live: &BTreeSet<WorkerId>, worker: WorkerId, said: AgentSaid) {
        let mut all = self.lock();
        let of_outpost = all.entry(outpost.clone()).or_default();
        of_outpost.retain(|known, _| live.contains(known));
        if live.contains(&worker) {
            of_outpost.insert(worker, said);
        }
        if of_outpost.is_empty() {
            all.remove(outpost);
        }
    }

    /// The last word of a worker's agent.
    pub(crate) fn of(&self, outpost: &OutpostName, worker: WorkerId) -> Option<AgentSaid> {
        self.lock().get(outpost)?.get(&worker).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_those_who_live_is_known_and_no_other() {
        let activities = Activities::default();
        let (here, there) = (OutpostName::new("here").unwrap(), OutpostName::new("there").unwrap());
        let worker = WorkerId::new;
        let said = |turns| AgentSaid { turns, ..AgentSaid::default() };
        let live = |ids: &[u64]| ids.iter().copied().map(worker).collect::<BTreeSet<_>>();
        activities.take(&here, &live(&[1, 2]), worker(1), said(1));
        activities.take(&here, &live(&[1, 2]), worker(1), said(2));
        activities.take(&here, &live(&[1, 2]), worker(3), said(9));
        assert_eq!(activities.of(&here, worker(1)), Some(said(2)));
        assert_eq!((activities.of(&here, worker(3)), activities.of(&there, worker(1))), (None, None));
        activities.take(&here, &live(&[2]), worker(2), said(1));
        assert_eq!(activities.of(&here, worker(1)), None);
        activities.take(&here, &live(&[]), worker(2), said(1));
        assert!(activities.lock().is_empty());
    }
}
