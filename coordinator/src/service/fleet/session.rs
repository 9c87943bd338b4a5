//! One outpost's session: its reports are applied, and the messages that the record demands are sent to it.
//!
//! Level-triggered: what was lost on the way is found again by the next look, or by the next session.

use std::collections::BTreeSet;

use sprint_core::access::Caller;
use sprint_core::assignment::{Assignment, Report};
use sprint_core::ids::{ItemId, OutpostName, WorkerId};
use sprint_core::refusal::Code;
use sprint_core::request::Hello;
use sprint_core::worker::WorkerStateName;
use sprint_failpoint::{Point, pass};

use crate::service::fleet::connections::SessionHold;
use crate::service::fleet::presence;
use crate::service::fleet::presence::Reconcile;
use crate::service::fleet::reports;
use crate::service::fleet::reports::Acknowledged;
use crate::service::fleet::{assignment, leases};
use crate::service::{Coordinator, ServiceError};

/// A message to an outpost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downlink {
    Assign(Box<Assignment>),
    Stop {
        worker: WorkerId,
        reason: String,
    },
    /// A report was applied, or refused for good.
    Acknowledge {
        worker: WorkerId,
        seq: u64,
        refused: Option<String>,
        item: Option<ItemId>,
    },
    /// Nothing of it is needed any more.
    Forget {
        worker: WorkerId,
    },
}

impl From<Reconcile> for Downlink {
    fn from(action: Reconcile) -> Self {
        match action {
            Reconcile::Stop { worker, reason } => Self::Stop { worker, reason },
            Reconcile::Forget { worker } => Self::Forget { worker },
        }
    }
}

/// What a session has said so far.
#[derive(Debug)]
pub struct Session {
    outpost: OutpostName,
    assigned: BTreeSet<WorkerId>,
    stopped: BTreeSet<WorkerId>,
}

impl Session {
    /// Takes an outpost in; returns also the messages that it must get at once.
    ///
    /// # Errors
    /// As [`presence::connect`].
    pub async fn open(sprint: &Coordinator, hello: Hello) -> Result<(Self, SessionHold, Vec<Downlink>), ServiceError> {
        let outpost = hello.outpost.clone();
        let (held, reconcile) = presence::connect(sprint, hello).await?;
        let session = Self { outpost, assigned: BTreeSet::new(), stopped: BTreeSet::new() };
        Ok((session, held, reconcile.into_iter().map(Downlink::from).collect()))
    }

    /// Applies reports; answers their acknowledgements.
    ///
    /// # Errors
    /// [`ServiceError::OutOfOrder`] when one is missing before the last that were not acknowledged: the session
    /// must end, and the next one begins with all that are not. Otherwise what the store or git says.
    pub async fn hear(
        &mut self,
        sprint: &Coordinator,
        caller: &Caller,
        reports: Vec<Report>,
    ) -> Result<Vec<Downlink>, ServiceError> {
        sprint.fleet.hear(&self.outpost, sprint.store.time().elapsed());
        let answers = reports::apply(sprint, caller, &self.outpost, reports).await?;
        pass(Point::ReportApplied);
        let mut told = Vec::with_capacity(answers.len());
        for Acknowledged { worker, seq, refused, item, forget } in answers {
            told.push(Downlink::Acknowledge { worker, seq, refused, item });
            if forget {
                self.assigned.remove(&worker);
                self.stopped.remove(&worker);
                told.push(Downlink::Forget { worker });
            }
        }
        Ok(told)
    }

    /// What the record wants of the outpost and this session has not said yet.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tell(&mut self, sprint: &Coordinator) -> Result<Vec<Downlink>, ServiceError> {
        let mut told = Vec::new();
        for worker in sprint.store.live().pending_workers(&self.outpost) {
            let id = worker.id;
            if worker.state.name() == WorkerStateName::Assigned && !self.assigned.contains(&id) {
                let assignment = match assignment::of_worker(sprint, &worker).await {
                    Ok(assignment) => assignment.ok_or_else(|| "there is nothing to run for it any more".to_owned()),
                    // One repository that cannot be read ends no session of an outpost that works for others, too.
                    Err(ServiceError::Git(error)) => Err(format!("its repository cannot be read: {error}")),
                    // It is not to run without what it was promised.
                    Err(error) if matches!(error.code(), Code::SecretSealed | Code::ConfigInvalid) => {
                        Err(error.to_string())
                    }
                    Err(error) => return Err(error),
                };
                let assignment = match assignment {
                    Ok(assignment) => assignment,
                    Err(reason) => {
                        leases::lose(sprint, &[worker], reason).await?;
                        continue;
                    }
                };
                self.assigned.insert(id);
                told.push(Downlink::Assign(Box::new(assignment)));
            }
            if let Some(reason) = worker.stop_reason.clone()
                && self.stopped.insert(id)
            {
                told.push(Downlink::Stop { worker: id, reason });
            }
        }
        Ok(told)
    }
}
