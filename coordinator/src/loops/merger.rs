//! Drives each repo's merge queue in a task of its own, so that one repo's slow
//! upstream delays no other.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use sprint_core::ids::RepoName;
use sprint_core::status::PassReason;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::driver::{Loop, Next};
use crate::service::queue::merge;
use crate::service::repos;
use crate::service::{Coordinator, Notices};

/// The repos whose queue a task drives, each with whether it is to be driven once more.
type Busy = Arc<Mutex<HashMap<RepoName, bool>>>;

#[derive(Default)]
pub(super) struct Merger {
    running: JoinSet<()>,
    busy: Busy,
}

impl Loop for Merger {
    const NAME: &'static str = "merger";
    /// The safety net, and the pause before an upstream that failed is tried again.
    const TICK: Duration = Duration::from_secs(10);

    fn woken_by(notices: &Notices) -> Option<&Notify> {
        Some(&notices.merger)
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, reason: PassReason) -> anyhow::Result<Next> {
        let names = match reason {
            PassReason::Notified => merge::busy(sprint),
            // An upstream push may be owed.
            PassReason::Start | PassReason::Tick => repos::list(sprint).iter().map(|repo| repo.name.clone()).collect(),
        };
        for name in names {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(again) = busy.get_mut(&name) {
                // The notice may have been meant for what its task has passed.
                *again = true;
                continue;
            }
            busy.insert(name.clone(), false);
            drop(busy);
            let turn = Turn { sprint: Arc::clone(sprint), busy: Arc::clone(&self.busy), name };
            self.running.spawn(turn.drive());
        }
        let mut result = Ok(Next::AtTick);
        while let Some(ended) = self.running.try_join_next() {
            if let Err(error) = ended {
                result = Err(anyhow::anyhow!(error).context("the task of a merge queue ended badly"));
            }
        }
        result
    }

    async fn end(&mut self, _: &Arc<Coordinator>) {
        // A landing is a matter of milliseconds and can be resumed at any point.
        self.running.shutdown().await;
    }
}

/// A task that drives one repo's queue.
struct Turn {
    sprint: Arc<Coordinator>,
    busy: Busy,
    name: RepoName,
}

impl Turn {
    async fn drive(self) {
        loop {
            let driven = AssertUnwindSafe(merge::drive(&self.sprint, &self.name)).catch_unwind().await;
            if self.is_over(driven.is_err()) {
                // The set of tasks reports a panic to the next pass.
                return driven.unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
    }

    /// Whether the turn ends: nothing has happened since it began to drive, or it failed.
    fn is_over(&self, failed: bool) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let again = busy.get_mut(&self.name).is_some_and(std::mem::take);
        if failed || !again {
            busy.remove(&self.name);
        }
        failed || !again
    }
}
