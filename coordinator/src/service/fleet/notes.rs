//! What workers say of their own accord: their progress, work that they have found, and what they hand over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::hand_off::{HandOff, HandOffId};
use sprint_core::ids::ItemId;
use sprint_core::item::StageName;
use sprint_core::job::AttemptJob;
use sprint_core::note::{FoundWork, Note, ProgressSaid};
use sprint_core::repo::Filing;
use sprint_core::request::NewItem;
use sprint_core::worker::Worker;

use crate::service::backlog::items;
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Tx;

/// What became of a note.
pub(super) enum Taken {
    /// It is on record, with the item that was added for it.
    Noted(Option<ItemId>),
    Refused(String),
}

/// Takes a note of a worker that is at work; one that is refused counts as heard.
///
/// # Errors
/// What the store says.
pub(super) async fn take(tx: &mut Tx, mut worker: Worker, note: Note, actor: &Actor) -> Result<Taken, ServiceError> {
    let taken = match refusal(tx, &worker, &note).await? {
        Some(why) => Err(why),
        None => match note.clone() {
            Note::Found(found) => file(tx, &worker, *found, actor).await?.map(Some),
            Note::Progress { .. } | Note::HandOff(_) => Ok(None),
        },
    };
    let item = match taken {
        Ok(item) => item,
        Err(why) => {
            // The next report carries the next number.
            tx.save_along(worker);
            return Ok(Taken::Refused(why));
        }
    };
    worker.notes.add(&note);
    let job = worker.job.attempt().copied();
    let data = |fields: serde_json::Value| json!({ "worker": worker.id, "attempt": job.map(|job| job.attempt), "note": fields });
    let (repo, of) = (Some(worker.repo.clone()), worker.job.item());
    let event = |kind, data| NewEvent { kind, repo: repo.clone(), item: of, actor: actor.clone(), data };
    match note {
        Note::Progress { text } => {
            let record = event(EventKind::WORKER_PROGRESSED, data(json!({ "text": text })));
            worker.progress = Some(ProgressSaid { text, at: tx.now() });
            tx.save(worker, record);
        }
        // The item has an event of its own.
        Note::Found(_) => tx.save_along(worker),
        Note::HandOff(text) => {
            if let Some(AttemptJob { item, attempt, role: _ }) = job {
                let lines = text.sections().map(|(title, lines)| (title, lines.len()));
                let record = event(EventKind::HANDOFF_WRITTEN, data(json!({ "lines": BTreeMap::from(lines) })));
                let id = HandOffId::of(item, attempt);
                tx.save(HandOff { id, item, attempt, worker: worker.id, written_at: tx.now(), text: *text }, record);
            }
            tx.save_along(worker);
        }
    }
    Ok(Taken::Noted(item))
}

/// Why a note is not taken.
async fn refusal(tx: &mut Tx, worker: &Worker, note: &Note) -> Result<Option<String>, ServiceError> {
    let Some(AttemptJob { item, attempt, role: _ }) = worker.job.attempt() else {
        return Ok(Some("a gate has no item".to_owned()));
    };
    if tx.get(item).await?.is_none_or(|item| item.worker() != Some(worker.id)) {
        return Ok(Some(format!("attempt {attempt} of item {item} is over")));
    }
    Ok(note.emptiness().map(str::to_owned).or_else(|| worker.notes.admit(note).err()))
}

/// Adds the item that a worker has found.
///
/// # Errors
/// What the store says; within, why the item is refused.
async fn file(
    tx: &mut Tx,
    worker: &Worker,
    found: FoundWork,
    actor: &Actor,
) -> Result<Result<ItemId, String>, ServiceError> {
    let FoundWork { title, description, kind, priority, acceptance, needs, parent } = found;
    let filing = tx.get(&worker.repo).await?.map_or(Filing::Inbox, |repo| repo.filing);
    let new = NewItem {
        key: None,
        repo: worker.repo.clone(),
        kind,
        title,
        description,
        acceptance,
        priority,
        labels: BTreeSet::new(),
        requires: BTreeMap::new(),
        parent: parent.map(|parent| parent.to_string()),
        discovered_from: worker.job.item(),
        needs: needs.iter().map(ToString::to_string).collect(),
        run: None,
        stage: match filing {
            Filing::Inbox => StageName::Inbox,
            Filing::Ready => StageName::Ready,
        },
    };
    match items::insert_one(tx, new, actor.clone()).await {
        Ok(item) => Ok(Ok(item.id)),
        Err(ServiceError::Refusal(refusal)) => Ok(Err(refusal.to_string())),
        Err(error) => Err(error),
    }
}

/// What an item's attempts have handed over, the newest last.
///
/// # Errors
/// There is no such item; what the store says.
pub async fn hand_offs(sprint: &Coordinator, item: ItemId) -> Result<Vec<HandOff>, ServiceError> {
    sprint.store.get(&item).await?.ok_or_else(|| transition::missing(&item))?;
    let mut found = sprint.store.list::<HandOff>(&[("item", item.get().into())], None).await?;
    found.sort_by_key(|hand_off| hand_off.attempt);
    Ok(found)
}
