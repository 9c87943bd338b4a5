//! The outposts and their live workers, in memory. The slots in use are counted as workers come and go: the
//! scheduler asks for them after every worker's end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sprint_core::ids::{KeyId, OutpostName, WorkerId};
use sprint_core::outpost::Outpost;
use sprint_core::schedule::Capacity;
use sprint_core::slots::SlotsInUse;
use sprint_core::worker::Worker;

#[derive(Debug, Default)]
pub(super) struct Fleet {
    outposts: BTreeMap<OutpostName, Capacity>,
    by_key: HashMap<KeyId, OutpostName>,
    /// By the outpost whose slots they hold.
    workers: HashMap<OutpostName, BTreeMap<WorkerId, Arc<Worker>>>,
    in_use: SlotsInUse,
}

impl Fleet {
    /// The number of outposts and live workers.
    pub(super) fn len(&self) -> usize {
        self.outposts.len() + usize::try_from(self.in_use.total()).unwrap_or(usize::MAX)
    }

    pub(super) fn holder(&self, key: &KeyId) -> Option<&OutpostName> {
        self.by_key.get(key)
    }

    pub(super) fn outpost(&self, name: &OutpostName) -> Option<&Arc<Outpost>> {
        self.outposts.get(name).map(|capacity| &capacity.outpost)
    }

    /// All outposts, by name.
    pub(super) fn capacities(&self) -> impl Iterator<Item = &Capacity> {
        self.outposts.values()
    }

    /// The slots in use on all outposts.
    pub(super) const fn in_use(&self) -> &SlotsInUse {
        &self.in_use
    }

    /// The live workers of an outpost, the oldest first.
    pub(super) fn workers(&self, outpost: &OutpostName) -> impl Iterator<Item = &Arc<Worker>> {
        self.workers.get(outpost).into_iter().flat_map(BTreeMap::values)
    }

    /// Takes a worker over as it is now.
    pub(super) fn update_worker(&mut self, worker: &Arc<Worker>) {
        let live = self.workers.entry(worker.outpost.clone()).or_default();
        let before =
            if worker.state.is_live() { live.insert(worker.id, Arc::clone(worker)) } else { live.remove(&worker.id) };
        if live.is_empty() {
            self.workers.remove(&worker.outpost);
        }
        let of_outpost = self.outposts.get_mut(&worker.outpost).map(|capacity| Arc::make_mut(&mut capacity.in_use));
        for in_use in of_outpost.into_iter().chain([&mut self.in_use]) {
            if let Some(before) = &before {
                in_use.free(&before.repo, before.job.role());
            }
            if worker.state.is_live() {
                in_use.occupy(&worker.repo, worker.job.role());
            }
        }
    }

    /// Takes an outpost over as it is now, or none when it was removed; says whether it gained or lost access.
    pub(super) fn update_outpost(&mut self, name: &OutpostName, outpost: Option<&Arc<Outpost>>) -> bool {
        let mut access = false;
        let key = outpost.and_then(|outpost| outpost.key.clone());
        let before = match outpost {
            Some(outpost) => {
                let known = self.outposts.get(name).map(|known| Arc::clone(&known.in_use));
                let in_use = known.unwrap_or_else(|| Arc::new(self.counted(name)));
                self.outposts.insert(name.clone(), Capacity { outpost: Arc::clone(outpost), in_use })
            }
            None => self.outposts.remove(name),
        };
        let before = before.and_then(|before| before.outpost.key.clone());
        if let Some(before) = before.filter(|before| Some(before) != key.as_ref()) {
            self.by_key.remove(&before);
            access = true;
        }
        if let Some(key) = key {
            access |= self.by_key.insert(key, name.clone()).is_none();
        }
        access
    }

    /// The slots that an outpost's workers hold, counted one by one.
    fn counted(&self, outpost: &OutpostName) -> SlotsInUse {
        let mut in_use = SlotsInUse::default();
        for worker in self.workers(outpost) {
            in_use.occupy(&worker.repo, worker.job.role());
        }
        in_use
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
