//! Notifications of a commit: loops wake on these, and read the state for themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sprint_core::event::Seq;
use sprint_core::ids::OutpostName;
use tokio::sync::{Notify, watch};

/// A subscriber that acts after a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// Work or slots have become free.
    Scheduler,
    /// The merge queue of some repo can go on.
    Merger,
    /// An item is over: its container may be, too.
    Pipeline,
    /// An outpost went away.
    Supervisor,
    /// This outpost must get a message.
    Outpost(OutpostName),
}

/// The subscribers that commits wake.
pub struct Notices {
    pub scheduler: Notify,
    pub merger: Notify,
    pub pipeline: Notify,
    pub supervisor: Notify,
    outposts: Mutex<HashMap<OutpostName, Arc<Notify>>>,
    last: watch::Sender<Seq>,
}

impl Notices {
    pub(crate) fn new(last: Seq) -> Self {
        Self {
            scheduler: Notify::new(),
            merger: Notify::new(),
            pipeline: Notify::new(),
            supervisor: Notify::new(),
            outposts: Mutex::default(),
            last: watch::Sender::new(last),
        }
    }

    /// The notification of one outpost's session.
    pub fn outpost(&self, name: &OutpostName) -> Arc<Notify> {
        let mut outposts = self.outposts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(outposts.entry(name.clone()).or_default())
    }

    /// The newest event's number, and word of each newer one.
    pub fn events(&self) -> watch::Receiver<Seq> {
        self.last.subscribe()
    }

    pub(crate) fn wake(&self, notice: &Notice) {
        match notice {
            Notice::Scheduler => self.scheduler.notify_one(),
            Notice::Merger => self.merger.notify_one(),
            Notice::Pipeline => self.pipeline.notify_one(),
            Notice::Supervisor => self.supervisor.notify_one(),
            Notice::Outpost(name) => self.outpost(name).notify_one(),
        }
    }

    /// Wakes all subscribers: the live rows were read again.
    pub(crate) fn wake_all(&self) {
        for waiting in [&self.scheduler, &self.merger, &self.pipeline, &self.supervisor] {
            waiting.notify_one();
        }
        for outpost in self.outposts.lock().unwrap_or_else(PoisonError::into_inner).values() {
            outpost.notify_one();
        }
    }

    pub(crate) fn committed(&self, last: Seq) {
        self.last.send_if_modified(|known| {
            let newer = last > *known;
            *known = last.max(*known);
            newer
        });
    }
}
