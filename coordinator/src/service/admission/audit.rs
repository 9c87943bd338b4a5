//! The record of what was refused: who, from where, what, and why.

use std::time::Instant;

use serde_json::json;
use sprint_core::access::{Caller, Identity};
use sprint_core::event::{Actor, EventKind, NewEvent};

use crate::service::admission::refusals::{cut, host};
use crate::service::{Coordinator, ServiceError};

/// Records a refusal.
pub async fn refused(sprint: &Coordinator, caller: Caller, what: &str, why: &str) {
    let (what, why) = (cut(what), cut(why));
    let address = host(&caller.from).to_owned();
    tracing::debug!(who = %caller, from = caller.from, what, why, "refused");
    if sprint.refusals.note(&address, &what, &why, Instant::now()) {
        let data = json!({ "what": what, "why": why });
        record(sprint, caller, data).await;
    }
}

/// Records what was only counted so far.
pub async fn settle(sprint: &Coordinator) {
    for (address, times, what, why) in sprint.refusals.take_over(Instant::now()) {
        let caller = Caller { identity: Identity::Stranger, from: address };
        record(sprint, caller, json!({ "what": what, "why": why, "times": times })).await;
    }
}

async fn record(sprint: &Coordinator, caller: Caller, data: serde_json::Value) {
    let event =
        NewEvent { kind: EventKind::ACCESS_REFUSED, repo: None, item: None, actor: Actor::Caller(caller), data };
    let recorded: Result<(), ServiceError> = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.record(event);
                Ok(())
            })
        })
        .await;
    if let Err(error) = recorded {
        tracing::warn!(%error, "a refusal was not recorded");
    }
}
