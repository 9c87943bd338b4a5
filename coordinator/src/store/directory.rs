//! Who is known and who works where, in memory: every call asks, and none may wait for the database.
//!
//! The writer keeps it: what a commit changed is here before the commit is answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use sprint_core::ids::{KeyId, OutpostName, RepoName, TokenId, TrialId, WorkerId};
use sprint_core::outpost::Outpost;
use sprint_core::token::{Proof, Token};
use sprint_core::trial::Trial;
use sprint_core::worker::{Role, Worker};

use tokio::sync::watch;

use super::entity::{Entity as _, Rows, Slots};

/// What a batch changes in it.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) outposts: Rows<Outpost>,
    pub(crate) tokens: Rows<Token>,
    pub(crate) workers: Rows<Worker>,
    pub(crate) trials: Rows<Trial>,
}

impl Changed {
    /// Takes note of what a job decided.
    pub(crate) fn note(&mut self, rows: &mut Slots) {
        self.outposts.extend(Outpost::rows(rows).clone());
        self.tokens.extend(Token::rows(rows).clone());
        self.workers.extend(Worker::rows(rows).clone());
        self.trials.extend(Trial::rows(rows).clone());
    }
}

/// The outposts, tokens, live workers and trials that are on record.
#[derive(Debug, Default)]
pub struct Directory {
    known: RwLock<Known>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    outposts: HashMap<OutpostName, Outpost>,
    outpost_keys: HashMap<KeyId, OutpostName>,
    /// By the outpost whose slots they hold.
    workers: BTreeMap<OutpostName, BTreeMap<WorkerId, Worker>>,
    /// Those that are not retired.
    trials: BTreeMap<RepoName, BTreeMap<TrialId, Trial>>,
    tokens: HashMap<TokenId, Token>,
    token_keys: HashMap<KeyId, TokenId>,
}

impl Directory {
    /// The outpost that holds a key.
    pub fn outpost(&self, key: &KeyId) -> Option<OutpostName> {
        self.read().outpost_keys.get(key).cloned()
    }

    pub fn outpost_named(&self, name: &OutpostName) -> Option<Outpost> {
        self.read().outposts.get(name).cloned()
    }

    /// All outposts, by name.
    pub fn outposts(&self) -> Vec<Outpost> {
        let mut outposts = self.read().outposts.values().cloned().collect::<Vec<_>>();
        outposts.sort_by(|one, other| one.name.cmp(&other.name));
        outposts
    }

    /// The live workers of an outpost, the oldest first.
    pub fn live_workers(&self, outpost: &OutpostName) -> Vec<Worker> {
        self.read().workers.get(outpost).into_iter().flat_map(|workers| workers.values().cloned()).collect()
    }

    pub fn holds_slots(&self, outpost: &OutpostName) -> bool {
        self.read().workers.get(outpost).is_some_and(|workers| !workers.is_empty())
    }

    /// The workers of an outpost that it must be told of: assigned, or to be stopped.
    pub fn pending_workers(&self, outpost: &OutpostName) -> Vec<Worker> {
        let known = self.read();
        let live = known.workers.get(outpost).into_iter().flat_map(BTreeMap::values);
        live.filter(|worker| worker.is_to_be_told()).cloned().collect()
    }

    /// The slots in use, by outpost, repo and role.
    pub fn slots_in_use(&self) -> Vec<(OutpostName, RepoName, Role, u32)> {
        let known = self.read();
        let mut counts = BTreeMap::<_, u32>::new();
        for worker in known.workers.values().flat_map(BTreeMap::values) {
            *counts.entry((&worker.outpost, &worker.repo, worker.role)).or_default() += 1;
        }
        let owned = |((outpost, repo, role), count): ((&OutpostName, &RepoName, Role), u32)| {
            (outpost.clone(), repo.clone(), role, count)
        };
        counts.into_iter().map(owned).collect()
    }

    /// The trials of a repo that can still matter, the oldest first.
    pub fn trials(&self, repo: &RepoName) -> Vec<Trial> {
        self.read().trials.get(repo).into_iter().flat_map(|trials| trials.values().cloned()).collect()
    }

    /// The repos that have such trials.
    pub fn repos_with_trials(&self) -> Vec<RepoName> {
        self.read().trials.iter().filter(|(_, trials)| !trials.is_empty()).map(|(repo, _)| repo.clone()).collect()
    }

    pub fn token(&self, id: &TokenId) -> Option<Token> {
        self.read().tokens.get(id).cloned()
    }

    /// The token whose holder proves itself with a certificate for this key.
    pub fn token_of_key(&self, key: &KeyId) -> Option<Token> {
        let known = self.read();
        known.token_keys.get(key).and_then(|id| known.tokens.get(id)).cloned()
    }

    /// Rings whenever somebody is let in or shut out.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what was committed.
    pub(crate) fn update(&self, changed: Changed) {
        let Changed { outposts, tokens, workers, trials } = changed;
        if outposts.is_empty() && tokens.is_empty() && workers.is_empty() && trials.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut let_in_or_out = !tokens.is_empty();
        for (name, outpost) in outposts {
            let key = outpost.as_ref().and_then(|outpost| outpost.key.clone());
            let before = match outpost {
                Some(outpost) => known.outposts.insert(name.clone(), outpost),
                None => known.outposts.remove(&name),
            };
            if let Some(before) = before.and_then(|before| before.key).filter(|before| Some(before) != key.as_ref()) {
                known.outpost_keys.remove(&before);
                let_in_or_out = true;
            }
            if let Some(key) = key
                && known.outpost_keys.insert(key, name).is_none()
            {
                let_in_or_out = true;
            }
        }
        for (id, token) in tokens {
            let before = match token {
                Some(token) => {
                    if let Proof::Key(key) = &token.proof {
                        known.token_keys.insert(key.clone(), id.clone());
                    }
                    known.tokens.insert(id, token)
                }
                None => known.tokens.remove(&id),
            };
            // A token's key can be replaced; the earlier one then opens nothing any more.
            if let Some(Proof::Key(key)) = before.map(|token| token.proof) {
                let present = known.token_keys.get(&key).and_then(|id| known.tokens.get(id));
                if present.is_none_or(|token| token.proof != Proof::Key(key.clone())) {
                    known.token_keys.remove(&key);
                }
            }
        }
        for (id, worker) in workers {
            let Some(worker) = worker else { continue };
            if worker.state.is_live() {
                known.workers.entry(worker.outpost.clone()).or_default().insert(id, worker);
            } else if let Some(live) = known.workers.get_mut(&worker.outpost) {
                live.remove(&id);
            }
        }
        for (id, trial) in trials {
            let Some(trial) = trial else { continue };
            let of_repo = known.trials.entry(trial.repo.clone()).or_default();
            if trial.retired {
                of_repo.remove(&id);
            } else {
                of_repo.insert(id, trial);
            }
        }
        drop(known);
        if let_in_or_out {
            self.changes.send_replace(());
        }
    }
}
