//! Items: adding, changing and explaining them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use sprint_core::Refused;
use sprint_core::act::Act;
use sprint_core::change::ChangeEvent;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{Attempt, ItemId, RepoName};
use sprint_core::item::{Item, ItemEffect, ItemEvent, MAX_ITEM_BYTES, MAX_TITLE_BYTES, Stage, StageName};
use sprint_core::needs::find_cycle;
use sprint_core::refusal::{Code, Noun as _, Refusal};
use sprint_core::request::{ItemEdit, ItemFilter, NewItem};
use sprint_core::time::Timestamp;
use sprint_core::worker::WorkerEvent;

use crate::service::transition::{Done, Machine};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::{Notice, Page, Tx};

impl Machine for Item {
    type Event = ItemEvent;
    type Effect = ItemEffect;
    const LISTED_BY: Option<Act> = Some(Act::ListItems);

    fn step(&mut self, event: ItemEvent, now: Timestamp) -> Result<Vec<ItemEffect>, Refused> {
        self.apply(event, now)
    }

    fn subject(&self) -> (RepoName, Option<ItemId>) {
        (self.repo.clone(), Some(self.id))
    }

    fn describe(&self, data: &mut Map<String, Value>) {
        data.insert("stage".to_owned(), json!(self.stage.name()));
    }

    fn carry_out<'t>(&'t self, effect: ItemEffect, tx: &'t mut Tx, actor: &'t Actor) -> Done<'t> {
        let reason = || format!("item {} was cancelled", self.id);
        match effect {
            ItemEffect::Schedule => transition::notify(tx, [Notice::Scheduler]),
            ItemEffect::StopWorker { worker } => {
                let stop = transition::apply(tx, worker, WorkerEvent::StopRequested { reason: reason() }, actor);
                Box::pin(async move { stop.await.map(|_| ()) })
            }
            ItemEffect::DropChange { change } => {
                let drop = transition::apply(tx, change, ChangeEvent::Dropped { reason: reason() }, actor);
                Box::pin(async move { drop.await.map(|_| ()) })
            }
            ItemEffect::Settle => transition::notify(tx, [Notice::Scheduler, Notice::Pipeline]),
        }
    }
}

/// Adds items, all or none.
///
/// # Errors
/// The refusal of the first item that cannot be added, at its line when there are several.
pub async fn add(sprint: &Coordinator, new: Vec<NewItem>, by: Actor) -> Result<Vec<Item>, ServiceError> {
    sprint.store.write(move |tx| Box::pin(insert(tx, new, by))).await
}

/// Adds an item within a transaction.
pub(crate) async fn insert_one(tx: &mut Tx, new: NewItem, by: Actor) -> Result<Item, ServiceError> {
    let added = insert(tx, vec![new], by).await?;
    Ok(added.into_iter().next().expect("one item was asked for, and one is added"))
}

async fn insert(tx: &mut Tx, new: Vec<NewItem>, by: Actor) -> Result<Vec<Item>, ServiceError> {
    let several = new.len() > 1;
    let place = |index: usize, error: ServiceError| if several { error.at_line(index as u64 + 1) } else { error };
    let mut keys = HashMap::new();
    let mut ids = Vec::with_capacity(new.len());
    for (index, item) in new.iter().enumerate() {
        let id = tx.next_id::<ItemId>();
        ids.push(id);
        if let Some(key) = &item.key {
            let taken = keys.insert(key.clone(), id).is_some();
            let refused = if key.parse::<ItemId>().is_ok() {
                Some(format!("the key \"{key}\" could be an item's number; use a word"))
            } else if taken {
                Some(format!("the key \"{key}\" is used twice; keys must differ"))
            } else {
                None
            };
            if let Some(why) = refused {
                return Err(place(index, Refusal::new(Code::ItemInvalid, why).field("key").into()));
            }
        }
    }
    let mut items = Vec::with_capacity(new.len());
    for (index, (id, new)) in ids.iter().zip(new).enumerate() {
        items.push(build(tx, *id, new, &keys).await.map_err(|error| place(index, error))?);
    }
    let by_id = items.iter().map(|item| (item.id, &item.needs)).collect::<HashMap<_, _>>();
    if let Some(cycle) = find_cycle(items.iter().map(|item| item.id), |id| by_id.get(&id).copied()) {
        let name = |id: &ItemId| {
            let item = items.iter().find(|item| item.id == *id);
            item.map_or_else(|| id.to_string(), |item| format!("\"{}\"", item.title))
        };
        return Err(cycle_error(&cycle.iter().map(name).collect::<Vec<_>>()));
    }
    for item in &items {
        let data = json!({ "title": item.title, "kind": item.kind, "stage": item.stage.name(), "needs": item.needs });
        tx.save(item.clone(), about(item, EventKind::ITEM_ADDED, data, &by));
    }
    tx.notify(Notice::Scheduler);
    Ok(items)
}

fn about(item: &Item, kind: EventKind, data: serde_json::Value, by: &Actor) -> NewEvent {
    NewEvent { kind, repo: Some(item.repo.clone()), item: Some(item.id), actor: by.clone(), data }
}

fn cycle_error(names: &[String]) -> ServiceError {
    let cycle = names.join(" needs ");
    let why = format!("the needs form a cycle: {cycle}; none of these items could start; remove one need");
    Refusal::new(Code::NeedsCycle, why).field("needs").into()
}

async fn build(tx: &mut Tx, id: ItemId, new: NewItem, keys: &HashMap<String, ItemId>) -> Result<Item, ServiceError> {
    let NewItem {
        key: _,
        repo,
        kind,
        title,
        description,
        acceptance,
        priority,
        labels,
        requires,
        parent,
        discovered_from,
        needs,
        run,
        stage,
    } = new;
    if tx.get(&repo).await?.is_none() {
        return Err(ServiceError::no_repo(&repo));
    }
    let stage = match stage {
        StageName::Inbox => Stage::Inbox,
        StageName::Planning => Stage::Planning,
        StageName::Ready => Stage::Ready,
        other @ (StageName::InProgress
        | StageName::InReview
        | StageName::InTests
        | StageName::Merging
        | StageName::InDocs
        | StageName::Done
        | StageName::Blocked
        | StageName::Cancelled) => {
            let why = format!("an item cannot be added in stage {other}; use inbox, planning or ready");
            return Err(Refusal::new(Code::ItemInvalid, why).field("stage").into());
        }
    };
    let parent = match parent {
        Some(parent) => Some(resolve(tx, &parent, keys, "parent", &repo).await?),
        None => None,
    };
    let mut resolved = BTreeSet::new();
    for need in needs {
        resolved.insert(resolve(tx, &need, keys, "need", &repo).await?);
    }
    let item = Item {
        id,
        repo,
        kind,
        title,
        description,
        acceptance,
        priority,
        labels,
        requires,
        parent,
        needs: resolved,
        run: run.filter(|run| !run.trim().is_empty()),
        stage,
        attempt: Attempt::default(),
        failures: 0,
        losses: 0,
        avoid: vec![],
        not_before: None,
        discovered_from,
        conflict: None,
        nothing_to_do: false,
        feedback: vec![],
        created_at: tx.now(),
        updated_at: tx.now(),
        stage_since: Some(tx.now()),
    };
    validate(&item)?;
    Ok(item)
}

fn validate(item: &Item) -> Result<(), ServiceError> {
    if item.title.trim().is_empty() {
        return Err(Refusal::new(Code::ItemInvalid, "the item has no title; give it one").field("title").into());
    }
    let title = item.title.len();
    if title > MAX_TITLE_BYTES {
        let why = format!(
            "the title has {title} bytes, and the limit is {MAX_TITLE_BYTES}; put what is to be done into the description"
        );
        return Err(Refusal::new(Code::ItemInvalid, why).field("title").into());
    }
    let size = item.size();
    if size > MAX_ITEM_BYTES {
        let why = format!(
            "the item has {size} bytes of text, and the limit is {MAX_ITEM_BYTES}; put long texts into the repository and name their path in the description"
        );
        return Err(ServiceError::new(Code::ItemTooLarge, why));
    }
    let nul = item.title.contains('\0') || item.description.contains('\0');
    if nul || item.run.as_ref().is_some_and(|run| run.contains('\0')) {
        let why = "the item's text contains a NUL character, which no program accepts; remove it";
        return Err(ServiceError::new(Code::ItemInvalid, why));
    }
    if item.parent == Some(item.id) {
        return Err(Refusal::new(Code::ItemInvalid, "the item is its own parent; name another").field("parent").into());
    }
    Ok(())
}

/// The item that a reference means: a key of the same request, or a number.
async fn resolve(
    tx: &mut Tx,
    reference: &str,
    keys: &HashMap<String, ItemId>,
    what: &str,
    repo: &RepoName,
) -> Result<ItemId, ServiceError> {
    if let Some(id) = keys.get(reference) {
        return Ok(*id);
    }
    let Ok(id) = reference.parse::<ItemId>() else {
        let why = format!(
            "its {what} \"{reference}\" is neither an item's number nor the key of another item of the request"
        );
        return Err(ServiceError::new(Code::ItemReference, why));
    };
    match tx.get(&id).await? {
        Some(found) if found.repo == *repo => Ok(id),
        Some(found) => {
            let why = format!(
                "its {what} {id} belongs to repo \"{}\"; parents and needs must be of the same repo",
                found.repo
            );
            Err(ServiceError::new(Code::ItemReference, why))
        }
        None => {
            let why = format!("its {what} {id} does not exist");
            Err(Refusal::new(Item::NOT_FOUND, why).next(Act::ListItems).into())
        }
    }
}

/// # Errors
/// There is no such item.
pub async fn get(sprint: &Coordinator, id: ItemId) -> Result<Item, ServiceError> {
    sprint.store.get(&id).await?.ok_or_else(|| transition::missing(&id))
}

/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator, filter: &ItemFilter) -> Result<Page<Item>, ServiceError> {
    Ok(sprint.store.items_page(filter).await?)
}

/// Changes an item's texts, needs and labels. A running worker keeps its assignment as it is.
///
/// # Errors
/// What [`add`] would refuse, too.
pub async fn edit(sprint: &Coordinator, edit: ItemEdit, by: Actor) -> Result<Item, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let ItemEdit { id, title, description, priority, run, needs, labels, acceptance, requires } = edit;
                let mut item = tx.get(&id).await?.ok_or_else(|| transition::missing(&id))?;
                let changed = [
                    ("title", title.is_some()),
                    ("description", description.is_some()),
                    ("priority", priority.is_some()),
                    ("run", run.is_some()),
                    ("needs", needs.is_some()),
                    ("labels", labels.is_some()),
                    ("acceptance", acceptance.is_some()),
                    ("requires", requires.is_some()),
                ];
                let changed = changed.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect::<Vec<_>>();
                item.title = title.unwrap_or(item.title);
                item.description = description.unwrap_or(item.description);
                item.priority = priority.unwrap_or(item.priority);
                item.labels = labels.unwrap_or(item.labels);
                item.acceptance = acceptance.unwrap_or(item.acceptance);
                item.requires = requires.unwrap_or(item.requires);
                if let Some(run) = run {
                    item.run = Some(run).filter(|run| !run.trim().is_empty());
                }
                if let Some(needs) = needs {
                    item.needs = needs;
                    check_needs(tx, &item).await?;
                }
                validate(&item)?;
                item.updated_at = tx.now();
                let record = about(&item, EventKind::ITEM_EDITED, json!({ "changed": changed }), &by);
                tx.save(item.clone(), record);
                tx.notify(Notice::Scheduler);
                Ok(item)
            })
        })
        .await
}

/// Checks that an item's needs exist, and that no chain of needs leads back to it.
async fn check_needs(tx: &mut Tx, item: &Item) -> Result<(), ServiceError> {
    for need in &item.needs {
        resolve(tx, &need.to_string(), &HashMap::new(), "need", &item.repo).await?;
    }
    let mut known = BTreeMap::from([(item.id, item.needs.clone())]);
    let mut open = item.needs.iter().copied().collect::<Vec<_>>();
    while let Some(id) = open.pop() {
        if known.contains_key(&id) {
            continue;
        }
        let needs = tx.get(&id).await?.map(|item| item.needs).unwrap_or_default();
        open.extend(needs.iter().copied());
        known.insert(id, needs);
    }
    match find_cycle([item.id], |id| known.get(&id)) {
        Some(cycle) => Err(cycle_error(&cycle.iter().map(ToString::to_string).collect::<Vec<_>>())),
        None => Ok(()),
    }
}

/// Applies a person's event to an item.
async fn steer(sprint: &Coordinator, id: ItemId, event: ItemEvent, by: Actor) -> Result<Item, ServiceError> {
    sprint.store.write(move |tx| Box::pin(async move { transition::apply(tx, id, event, &by).await })).await
}

/// Moves an item out of inbox or planning.
///
/// # Errors
/// [`ServiceError::Refused`] when it is in neither.
pub async fn ready(sprint: &Coordinator, id: ItemId, by: Actor) -> Result<Item, ServiceError> {
    steer(sprint, id, ItemEvent::Readied, by).await
}

/// Cancels an item, ending its worker or dropping its change.
///
/// # Errors
/// [`ServiceError::Refused`] when it is over, or its change is being landed.
pub async fn cancel(sprint: &Coordinator, id: ItemId, reason: String, by: Actor) -> Result<Item, ServiceError> {
    steer(sprint, id, ItemEvent::Cancelled { reason }, by).await
}

/// Takes an item as done, without a landing.
///
/// # Errors
/// [`ServiceError::Refused`] when work on it is under way, or it is over.
pub async fn take_as_done(sprint: &Coordinator, id: ItemId, reason: String, by: Actor) -> Result<Item, ServiceError> {
    steer(sprint, id, ItemEvent::Resolved { reason }, by).await
}

/// Gives a blocked or cancelled item another round of attempts, or ends its pause.
///
/// # Errors
/// [`ServiceError::Refused`] when it is neither.
pub async fn retry(sprint: &Coordinator, id: ItemId, by: Actor) -> Result<Item, ServiceError> {
    steer(sprint, id, ItemEvent::Retried, by).await
}

/// Why an item cannot become done any more without a person: it, or something that it needs,
/// is blocked or cancelled. None while it can.
///
/// # Errors
/// What the store says.
pub async fn dead_end(sprint: &Coordinator, item: &Item) -> Result<Option<String>, ServiceError> {
    let mut seen = BTreeSet::new();
    let mut open = vec![item.clone()];
    while let Some(next) = open.pop() {
        match &next.stage {
            Stage::Blocked { reason } => return Ok(Some(format!("item {} is blocked: {reason}", next.id))),
            Stage::Cancelled { reason } => return Ok(Some(format!("item {} was cancelled: {reason}", next.id))),
            Stage::Inbox | Stage::Planning | Stage::Ready => {
                for need in &next.needs {
                    if seen.insert(*need)
                        && let Some(need) = sprint.store.get(need).await?
                    {
                        open.push(need);
                    }
                }
            }
            Stage::InProgress { .. }
            | Stage::InReview
            | Stage::InTests
            | Stage::Merging { .. }
            | Stage::InDocs
            | Stage::Done { .. } => {}
        }
    }
    Ok(None)
}
