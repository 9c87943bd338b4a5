//! The live rows, in memory and shared: every call and every loop reads them, and none waits for the database.
//!
//! The writer keeps it: what a commit changed is here before the commit is answered. JSON is decoded for history only.

mod backlog;
mod fleet;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use sprint_core::change::Change;
use sprint_core::ids::{ChangeId, ItemId, KeyId, OutpostName, RepoName, TrialId};
use sprint_core::item::{Item, Priority, StageName};
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::request::ItemFilter;
use sprint_core::schedule::{Capacity, urgency};
use sprint_core::secret::{Secret, SecretId};
use sprint_core::slots::SlotsInUse;
use sprint_core::token::{Proof, Token, TokenId};
use sprint_core::trial::Trial;
use sprint_core::worker::Worker;
use tokio::sync::watch;

pub(crate) use backlog::Over;
pub(crate) use backlog::Place;

use self::backlog::Backlog;
use self::fleet::Fleet;
use super::entity::{Rows, Slots, Stored};

/// A change in a merge queue, with its item's priority.
#[derive(Debug, Clone)]
pub struct InQueue {
    pub change: Arc<Change>,
    pub priority: Priority,
}

/// A repo's merge queue at one moment.
#[derive(Debug, Clone, Default)]
pub struct RepoQueue {
    /// The pending changes in the order of the queue: the urgency of the item, then age.
    pub changes: Vec<InQueue>,
    /// The trials that can still matter, the oldest first.
    pub trials: Vec<Arc<Trial>>,
}

/// Repos, open items, pending changes, live workers, trials that are not retired, outposts, tokens and secrets.
#[derive(Debug, Default)]
pub struct Live {
    known: RwLock<Known>,
    access: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    repos: BTreeMap<RepoName, Arc<Repo>>,
    backlog: Backlog,
    changes: BTreeMap<RepoName, BTreeMap<ChangeId, Arc<Change>>>,
    trials: BTreeMap<RepoName, BTreeMap<TrialId, Arc<Trial>>>,
    fleet: Fleet,
    tokens: HashMap<TokenId, Arc<Token>>,
    token_keys: HashMap<KeyId, TokenId>,
    secrets: HashMap<SecretId, Arc<Secret>>,
}

impl Live {
    pub fn repo(&self, name: &RepoName) -> Option<Arc<Repo>> {
        self.read().repos.get(name).cloned()
    }

    /// All repos, by name.
    pub fn repos(&self) -> Vec<Arc<Repo>> {
        self.read().repos.values().cloned().collect()
    }

    /// The number of live rows.
    pub(crate) fn len(&self) -> usize {
        let known = self.read();
        let changes: usize = known.changes.values().map(BTreeMap::len).sum();
        let trials: usize = known.trials.values().map(BTreeMap::len).sum();
        known.repos.len()
            + known.tokens.len()
            + known.secrets.len()
            + known.backlog.len()
            + known.fleet.len()
            + changes
            + trials
    }

    /// An item, if it is neither done nor cancelled.
    pub fn open_item(&self, id: ItemId) -> Option<Arc<Item>> {
        self.read().backlog.get(id).cloned()
    }

    /// The items that are neither done nor cancelled, in no order.
    pub fn open_items(&self) -> Vec<Arc<Item>> {
        self.read().backlog.open().cloned().collect()
    }

    /// The items of a repo whose work has landed here, and is not at the upstream yet.
    pub(crate) fn owed_items(&self, repo: &RepoName) -> Vec<Arc<Item>> {
        self.read().backlog.owed().filter(|item| item.repo == *repo).cloned().collect()
    }

    /// Up to `limit` items that can be given out, by urgency, after a place: ready, not a container, not part
    /// of a convoy, with all needs done.
    pub fn assignable(&self, after: Place, limit: usize) -> Vec<Arc<Item>> {
        self.read().backlog.assignable(after).take(limit).cloned().collect()
    }

    /// Features that have children, all of them over, and one at least done.
    pub fn finished_features(&self) -> Vec<Arc<Item>> {
        by_id(self.read().backlog.finished_features().cloned().collect())
    }

    /// Items that wait as part of a convoy which is done.
    pub fn carried_by_done_convoys(&self) -> Vec<Arc<Item>> {
        by_id(self.read().backlog.carried_by_done_convoys().cloned().collect())
    }

    /// The items that a filter for open stages asks for, the newest last.
    pub(crate) fn found_items(&self, filter: &ItemFilter) -> Vec<Arc<Item>> {
        let found = self.read().backlog.open().filter(|item| filter.matches(item)).cloned().collect();
        filter.newest(by_id(found))
    }

    /// How many items are in each stage, those that are over among them.
    pub fn item_counts(&self) -> BTreeMap<StageName, u64> {
        self.read().backlog.counts()
    }

    /// A repo's merge queue and its trials, as of one commit.
    pub fn queue(&self, repo: &RepoName) -> RepoQueue {
        let known = self.read();
        let pending = known.changes.get(repo).into_iter().flat_map(BTreeMap::values);
        let mut changes = pending
            .map(|change| {
                let item = known.backlog.get(change.item);
                let priority = item.map_or(Priority::Medium, |item| item.priority);
                let since = item.map_or(change.created_at, |item| item.created_at);
                (urgency(priority, since), InQueue { change: Arc::clone(change), priority })
            })
            .collect::<Vec<_>>();
        changes.sort_by_key(|(urgency, entry)| (*urgency, entry.change.id));
        let trials = known.trials.get(repo).into_iter().flat_map(BTreeMap::values).cloned().collect();
        RepoQueue { changes: changes.into_iter().map(|(_, entry)| entry).collect(), trials }
    }

    /// The trials of a repo that can still matter, the oldest first.
    pub fn trials(&self, repo: &RepoName) -> Vec<Arc<Trial>> {
        self.read().trials.get(repo).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The trials of all repos that can still matter, the oldest of each repo first.
    pub fn all_trials(&self) -> Vec<Arc<Trial>> {
        self.read().trials.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The repos whose queue holds a change or a trial.
    pub fn busy_repos(&self) -> Vec<RepoName> {
        let known = self.read();
        let changes = known.changes.iter().filter(|(_, changes)| !changes.is_empty()).map(|(repo, _)| repo);
        let trials = known.trials.iter().filter(|(_, trials)| !trials.is_empty()).map(|(repo, _)| repo);
        let busy: std::collections::BTreeSet<&RepoName> = changes.chain(trials).collect();
        busy.into_iter().cloned().collect()
    }

    /// The outpost that holds a key.
    pub fn outpost(&self, key: &KeyId) -> Option<OutpostName> {
        self.read().fleet.holder(key).cloned()
    }

    pub fn outpost_named(&self, name: &OutpostName) -> Option<Arc<Outpost>> {
        self.read().fleet.outpost(name).cloned()
    }

    /// All outposts, by name.
    pub fn outposts(&self) -> Vec<Arc<Outpost>> {
        self.read().fleet.capacities().map(|capacity| Arc::clone(&capacity.outpost)).collect()
    }

    /// All outposts, by name, each with its slots in use; and the slots in use on all of them, as of one commit.
    pub fn capacities(&self) -> (Vec<Capacity>, SlotsInUse) {
        let known = self.read();
        (known.fleet.capacities().cloned().collect(), known.fleet.in_use().clone())
    }

    /// The live workers of an outpost, the oldest first.
    pub fn live_workers(&self, outpost: &OutpostName) -> Vec<Arc<Worker>> {
        self.read().fleet.workers(outpost).cloned().collect()
    }

    pub fn holds_slots(&self, outpost: &OutpostName) -> bool {
        self.read().fleet.workers(outpost).next().is_some()
    }

    /// The number of slots that a repo's workers hold.
    pub fn slots_of(&self, repo: &RepoName) -> u32 {
        self.read().fleet.in_use().of_repo(repo)
    }

    /// The workers of an outpost that it must get a message about: assigned, or to be stopped.
    pub fn pending_workers(&self, outpost: &OutpostName) -> Vec<Arc<Worker>> {
        self.read().fleet.workers(outpost).filter(|worker| worker.is_to_be_told()).cloned().collect()
    }

    /// All secrets, in no order.
    pub fn secrets(&self) -> Vec<Secret> {
        self.read().secrets.values().map(|secret| Secret::clone(secret)).collect()
    }

    pub fn token(&self, id: &TokenId) -> Option<Arc<Token>> {
        self.read().tokens.get(id).cloned()
    }

    /// The token whose holder proves itself with a certificate for this key.
    pub fn token_of_key(&self, key: &KeyId) -> Option<Arc<Token>> {
        let known = self.read();
        known.token_keys.get(key).and_then(|id| known.tokens.get(id)).cloned()
    }

    /// Notifies whenever an outpost or a person gains or loses access.
    pub fn access_changes(&self) -> watch::Receiver<()> {
        self.access.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what was committed.
    pub(crate) fn update(&self, changed: &Slots) {
        if changed.len() == 0 {
            return;
        }
        let access = self.known.write().unwrap_or_else(PoisonError::into_inner).update(changed);
        if access {
            self.access.send_replace(());
        }
    }

    /// Starts again from the database: the live rows, and the items that are over.
    pub(crate) fn replace(&self, live: &Slots, over: impl IntoIterator<Item = (ItemId, Over)>) {
        let mut known = Known::default();
        known.update(live);
        for (id, over) in over {
            known.backlog.update_over(id, over);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.access.send_replace(());
    }
}

fn by_id(mut items: Vec<Arc<Item>>) -> Vec<Arc<Item>> {
    items.sort_by_key(|item| item.id);
    items
}

fn rows<E: Stored>(slots: &Slots) -> &Rows<E> {
    E::rows(slots)
}

impl Known {
    /// Applies committed rows; returns whether a caller gained or lost access by them.
    fn update(&mut self, changed: &Slots) -> bool {
        for (name, repo) in rows::<Repo>(changed) {
            match repo {
                Some(repo) => self.repos.insert(name.clone(), Arc::clone(repo)),
                None => self.repos.remove(name),
            };
        }
        for (id, item) in rows::<Item>(changed) {
            self.backlog.update(*id, item.as_ref());
        }
        for (id, change) in rows::<Change>(changed) {
            let Some(change) = change else { continue };
            let of_repo = self.changes.entry(change.repo.clone()).or_default();
            if change.state.is_pending() {
                of_repo.insert(*id, Arc::clone(change));
            } else {
                of_repo.remove(id);
            }
        }
        for (id, trial) in rows::<Trial>(changed) {
            let Some(trial) = trial else { continue };
            let of_repo = self.trials.entry(trial.repo.clone()).or_default();
            if trial.retired {
                of_repo.remove(id);
            } else {
                of_repo.insert(*id, Arc::clone(trial));
            }
        }
        for worker in rows::<Worker>(changed).values().flatten() {
            self.fleet.update_worker(worker);
        }
        for (id, secret) in rows::<Secret>(changed) {
            match secret {
                Some(secret) => self.secrets.insert(id.clone(), Arc::clone(secret)),
                None => self.secrets.remove(id),
            };
        }
        let mut access = self.update_tokens(rows(changed));
        for (name, outpost) in rows::<Outpost>(changed) {
            access |= self.fleet.update_outpost(name, outpost.as_ref());
        }
        access
    }

    fn update_tokens(&mut self, changed: &Rows<Token>) -> bool {
        for (id, token) in changed {
            let before = match token {
                Some(token) => {
                    if let Proof::Key(key) = &token.proof {
                        self.token_keys.insert(key.clone(), id.clone());
                    }
                    self.tokens.insert(id.clone(), Arc::clone(token))
                }
                None => self.tokens.remove(id),
            };
            // A token's key can be replaced; the earlier one then opens nothing any more.
            if let Some(Proof::Key(key)) = before.map(|token| token.proof.clone()) {
                let present = self.token_keys.get(&key).and_then(|id| self.tokens.get(id));
                if present.is_none_or(|token| token.proof != Proof::Key(key.clone())) {
                    self.token_keys.remove(&key);
                }
            }
        }
        !changed.is_empty()
    }
}
