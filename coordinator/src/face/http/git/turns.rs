//! Limits the git programs that run at once, in total and for each caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sprint_core::access::{Caller, Identity};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Git programs that serve at once; requests beyond wait their turn.
const PROGRAMS: usize = 64;

/// Those of one caller, who may be slow, or not mean well.
const OF_ONE: usize = 16;

/// Callers that are remembered although nothing of theirs runs.
const REMEMBERED: usize = 1024;

/// The turns of all.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    own: Mutex<HashMap<Identity, Arc<Semaphore>>>,
}

/// One program's turn, which lasts for as long as this lives.
#[derive(Debug)]
pub(super) struct Turn {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(PROGRAMS)), own: Mutex::default() }
    }
}

impl Turns {
    /// Waits for a caller's turn.
    pub(super) async fn take(&self, caller: &Caller) -> Turn {
        let own = self.of(&caller.identity);
        // The caller's own limit first, so that a caller that waits there does not delay others. None is ever closed.
        let own = own.acquire_owned().await.ok();
        Turn { _own: own, _all: Arc::clone(&self.all).acquire_owned().await.ok() }
    }

    fn of(&self, caller: &Identity) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= REMEMBERED {
            own.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        Arc::clone(own.entry(caller.clone()).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use sprint_core::ids::OutpostName;

    use super::*;

    fn outpost(name: &str) -> Caller {
        Caller { identity: Identity::Outpost(OutpostName::new(name).expect("a name")), from: String::new() }
    }

    #[test]
    fn one_caller_does_not_delay_others() {
        let turns = Turns::default();
        let (slow, other) = (outpost("slow"), outpost("other"));
        let mut held = (0..OF_ONE).map(|_| turns.take(&slow).now_or_never().expect("has room")).collect::<Vec<_>>();
        assert!(turns.take(&slow).now_or_never().is_none(), "it has had its share");
        assert!(turns.take(&other).now_or_never().is_some());
        held.pop();
        assert!(turns.take(&slow).now_or_never().is_some());
    }

    #[test]
    fn callers_who_are_gone_are_forgotten() {
        let turns = Turns::default();
        for number in 0..3 * REMEMBERED {
            assert!(turns.take(&outpost(&format!("a-{number}"))).now_or_never().is_some());
        }
        assert!(turns.own.lock().expect("not poisoned").len() <= REMEMBERED);
    }
}
