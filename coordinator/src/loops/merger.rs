//! Drives each repo's merge queue in a task of its own, so that one repo's slow
//! upstream delays no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprint_core::ids::RepoName;
use sprint_core::status::PassReason;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::driver::{Loop, Next, observed};
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
            if reason != PassReason::Notified {
                repos::submodules::tend(sprint, &name);
            }
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(again) = busy.get_mut(&name) {
                // The notice may have been meant for what its task has passed.
                *again = true;
                continue;
            }
            busy.insert(name.clone(), false);
            drop(busy);
            let turn = Turn { sprint: Arc::clone(sprint), busy: Arc::clone(&self.busy), name };
            self.running.spawn(turn.drive(reason));
        }
        // Those that have ended; each has noted by itself how it went.
        while self.running.try_join_next().is_some() {}
        let repos = repos::list(sprint);
        sprint.loops.retain(|name| {
            let repo = name.strip_prefix(Self::NAME).and_then(|rest| rest.strip_prefix('/'));
            repo.is_none_or(|name| repos.iter().any(|repo| repo.name.as_str() == name))
        });
        Ok(Next::AtTick)
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
    /// Drives the queue; each time is a pass of its own, by the name of the loop and the repo.
    async fn drive(self, mut reason: PassReason) {
        let name = format!("{}/{}", Merger::NAME, self.name);
        loop {
            let drive = async { Ok(merge::drive(&self.sprint, &self.name).await?) };
            observed(&self.sprint, &name, reason, drive).await;
            if self.is_over() {
                return;
            }
            reason = PassReason::Notified;
        }
    }

    /// Whether the turn ends: nothing has happened since it began to drive.
    fn is_over(&self) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let again = busy.get_mut(&self.name).is_some_and(std::mem::take);
        if !again {
            busy.remove(&self.name);
        }
        !again
    }
}
