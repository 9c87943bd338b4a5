//! Who is known, in memory: every call asks, and none may wait for the database.
//!
//! The writer keeps it: what a commit changed is here before the commit is answered.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use sprint_core::ids::{KeyId, OutpostName, TokenId};
use sprint_core::outpost::Outpost;
use sprint_core::token::{Proof, Token};

use tokio::sync::watch;

use super::entity::Rows;

/// The outposts and tokens that are on record.
#[derive(Debug, Default)]
pub struct Directory {
    known: RwLock<Known>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    outposts: HashMap<OutpostName, KeyId>,
    outpost_keys: HashMap<KeyId, OutpostName>,
    tokens: HashMap<TokenId, Token>,
    token_keys: HashMap<KeyId, TokenId>,
}

impl Directory {
    /// The outpost that holds a key.
    pub fn outpost(&self, key: &KeyId) -> Option<OutpostName> {
        self.read().outpost_keys.get(key).cloned()
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
    pub(crate) fn update(&self, outposts: Rows<Outpost>, tokens: Rows<Token>) {
        if outposts.is_empty() && tokens.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (name, outpost) in outposts {
            let key = outpost.and_then(|outpost| outpost.key);
            let before = match key.clone() {
                Some(key) => known.outposts.insert(name.clone(), key),
                None => known.outposts.remove(&name),
            };
            if let Some(before) = before.filter(|before| Some(before) != key.as_ref()) {
                known.outpost_keys.remove(&before);
            }
            if let Some(key) = key {
                known.outpost_keys.insert(key, name);
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
        drop(known);
        self.changes.send_replace(());
    }
}
