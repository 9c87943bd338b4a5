//! What the ends of workers say of their outposts.

use std::time::Duration;

use serde_json::json;
use sprint_core::assignment::{AttemptOutcome, CommandResult, GateRunOutcome, Outcome};
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::gates::GateOutcome;
use sprint_core::ids::OutpostName;
use sprint_core::outpost::{QUICK, Sign};

use crate::service::{Actor, ServiceError};
use crate::store::{Notice, Tx};

/// What a worker's end says of its host; none when it says nothing.
pub(super) fn sign(outcome: &Outcome, steps: &[CommandResult]) -> Option<Sign> {
    let took: Duration = steps.iter().map(|step| Duration::from_millis(step.duration_ms)).sum();
    let failed = |reason: &str| {
        let reason = reason.to_owned();
        // Where nothing has run, it says nothing.
        (!steps.is_empty()).then(|| if took < QUICK { Sign::Failed { reason } } else { Sign::Well })
    };
    match outcome {
        Outcome::Attempt(AttemptOutcome::Committed { .. } | AttemptOutcome::NothingToDo { .. }) => Some(Sign::Well),
        Outcome::Attempt(AttemptOutcome::Unfit { reason }) => Some(Sign::Failed { reason: reason.clone() }),
        Outcome::Attempt(AttemptOutcome::Failed { reason }) => failed(reason),
        Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) => {
            let missing = verdicts.iter().find(|verdict| verdict.outcome == GateOutcome::NotFound);
            // A gate that fails at once does what it is for.
            Some(missing.map_or(Sign::Well, |verdict| Sign::Failed { reason: verdict.reason.clone() }))
        }
        Outcome::Attempt(
            AttemptOutcome::NotSetUp { .. } | AttemptOutcome::Lost { .. } | AttemptOutcome::Stopped { .. },
        )
        | Outcome::Gate(GateRunOutcome::Failed { .. } | GateRunOutcome::Lost { .. } | GateRunOutcome::Stopped { .. }) => {
            None
        }
    }
}

/// Takes note of it.
pub(super) async fn note(tx: &mut Tx, name: &OutpostName, sign: Sign, actor: &Actor) -> Result<(), ServiceError> {
    let Some(mut outpost) = tx.get(name).await? else { return Ok(()) };
    let before = outpost.clone();
    let reason = match &sign {
        Sign::Failed { reason } => Some(reason.clone()),
        Sign::Well => None,
    };
    let turned = outpost.learn(sign, tx.now());
    if outpost == before {
        return Ok(());
    }
    let kind = match (turned, &reason) {
        (Some(true), _) => EventKind::OUTPOST_SUSPECT,
        (None, Some(_)) => EventKind::OUTPOST_DOUBTED,
        (Some(false), _) | (None, None) => EventKind::OUTPOST_TRUSTED,
    };
    let data = json!({ "outpost": name, "reason": reason, "quick_failures": outpost.quick_failures });
    tx.save(outpost, NewEvent { kind, repo: None, item: None, actor: actor.clone(), data });
    tx.notify(Notice::Scheduler);
    Ok(())
}
