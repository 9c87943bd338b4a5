//! Trials, as the record keeps them; `merge` begins and judges them.

use serde_json::{Map, Value, json};
use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::ids::{ItemId, RepoName};
use sprint_core::time::Timestamp;
use sprint_core::trial::{Trial, TrialEffect, TrialEvent};
use sprint_core::worker::WorkerEvent;

use crate::service::transition::{Done, Machine};
use crate::service::{Actor, transition};
use crate::store::{Notice, Tx};

impl Machine for Trial {
    type Event = TrialEvent;
    type Effect = TrialEffect;
    const LISTED_BY: Option<Act> = Some(Act::ListChanges);

    fn step(&mut self, event: TrialEvent, now: Timestamp) -> Result<Vec<TrialEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), self.last().map(|member| member.item))
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        let changes = self.members.iter().map(|member| member.change).collect::<Vec<_>>();
        data.insert("trial".to_owned(), json!(self.id));
        data.insert("changes".to_owned(), json!(changes));
        data.insert("state".to_owned(), json!(self.state.name()));
        data.insert("commit".to_owned(), json!(self.candidate.commit));
        data.insert("tree".to_owned(), json!(self.candidate.tree));
    }

    fn carry_out<'t>(&'t self, effect: TrialEffect, tx: &'t mut Tx, actor: &'t Actor) -> Done<'t> {
        match effect {
            TrialEffect::Schedule => transition::notify(tx, [Notice::Scheduler]),
            TrialEffect::Merge => transition::notify(tx, [Notice::Merger]),
            TrialEffect::StopWorker { worker } => Box::pin(async move {
                let reason = format!("its gate of trial {} is not needed any more", self.id);
                // It may have ended by itself meanwhile.
                if tx.get(&worker).await?.is_some_and(|worker| worker.state.is_live()) {
                    transition::apply(tx, worker, WorkerEvent::StopRequested { reason }, actor).await?;
                }
                Ok(())
            }),
        }
    }
}
