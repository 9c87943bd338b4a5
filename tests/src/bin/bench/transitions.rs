//! Durable transitions of items, beside bare commits of the same SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use coordinator::store::{Location, Store, StoreError};
use sprint_core::event::{Actor, NewEvent, Recorded as _};
use sprint_core::fixtures;
use sprint_core::ids::{ItemId, OutpostName, WorkerId};
use sprint_core::item::{Item, ItemEvent, Lease, Stage};

use sprint_tests::load::figures::{Figures, rate};

use crate::extent::Extent;

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let time = Duration::from_millis(extent.of(3_000, 50));
    let directory = tempfile::tempdir()?;
    let single = single_commits(&directory.path().join("single.db"), time)?;
    let alone = same_rows(&directory.path().join("alone.db"), 1, time).await?;
    let batched = same_rows(&directory.path().join("batched.db"), 64, time).await?;
    let share = format!("{alone:.0}/s ({:.2} ×)", alone / single);
    figures.add("floor: the same rows, each transition in a commit of its own", share, one(single).as_str(), "-");
    let store = Arc::new(Store::open(Location::Sqlite(&directory.path().join("sprint.db"))).await?);
    let many = format!("{batched:.0}/s the same rows in commits of 64");
    for (callers, floor, beside, aim) in [
        (1, single, one(single), "≥ 0.8 × the floor"),
        (64, batched, many.clone(), "≥ 0.5 × the floor, ≥ 25,000/s"),
        (256, batched, many, "none"),
    ] {
        let rate = transitions(&store, callers, time).await?;
        let what = format!("item transitions, {callers} callers");
        figures.add(&what, format!("{rate:.0}/s ({:.2} ×)", rate / floor), &beside, aim);
    }
    store.close().await;
    Ok(())
}

fn one(floor: f64) -> String {
    format!("{floor:.0}/s single-row commits")
}

/// A connection as the coordinator's.
fn bare(path: &Path) -> anyhow::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch("pragma journal_mode = wal; pragma synchronous = full;")?;
    Ok(connection)
}

/// One row in each commit.
fn single_commits(path: &Path, time: Duration) -> anyhow::Result<f64> {
    let connection = bare(path)?;
    connection.execute_batch("create table rows (id integer primary key, body text not null)")?;
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < time {
        connection.prepare_cached("insert into rows (body) values (?1)")?.execute(["a row"])?;
        count += 1;
    }
    Ok(rate(count, began.elapsed()))
}

/// What a transition writes, so many in a commit: an item's row with its indexes, and an event's. The coordinator
/// itself makes the tables.
async fn same_rows(path: &Path, together: i64, time: Duration) -> anyhow::Result<f64> {
    Store::open(Location::Sqlite(path)).await?.close().await;
    let mut connection = bare(path)?;
    let body = serde_json::to_string(&item(ItemId::new(1)))?;
    let (began, mut count) = (Instant::now(), 0_i64);
    while began.elapsed() < time {
        let transaction = connection.transaction()?;
        for id in 1..=together {
            let stage = if count / together % 2 == 0 { "ready" } else { "in_progress" };
            transaction
                .prepare_cached(
                    "insert into items (id, repo, kind, stage, parent, body) values (?1, 'web', 'task', ?2, null, ?3)
                     on conflict (id) do update set body = excluded.body, stage = excluded.stage",
                )?
                .execute((id, stage, &body))?;
            count += 1;
            transaction
                .prepare_cached(
                    "insert into events (seq, time_ms, kind, repo, item, actor, origin, data)
                     values (?1, 1, 'item_leased', 'web', ?2, 'scheduler', null, '{\"attempt\":1}')",
                )?
                .execute((count, id))?;
        }
        transaction.commit()?;
    }
    Ok(rate(u64::try_from(count)?, began.elapsed()))
}

fn item(id: ItemId) -> Item {
    Item { run: Some("true".to_owned()), created_at: SystemTime::now().into(), ..fixtures::item(id.get(), 0) }
}

/// Leases an item and loses it again, over and over: the state machine's own transitions.
async fn transition(store: &Store, id: ItemId) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut item) = tx.get(&id).await? else { return Ok(()) };
                let event = if let (Stage::Ready, Ok(outpost)) = (&item.stage, OutpostName::new("bench")) {
                    let lease = Lease { worker: WorkerId::new(1), outpost };
                    ItemEvent::Leased { attempt: item.attempt.next(), lease }
                } else {
                    item.feedback.clear();
                    let (reason, retry_at) = ("bench".to_owned(), tx.now());
                    ItemEvent::AttemptLost { attempt: item.attempt, reason, retry_at, avoid: None }
                };
                let record = NewEvent {
                    kind: event.kind(),
                    repo: Some(item.repo.clone()),
                    item: Some(id),
                    actor: Actor::Scheduler,
                    data: event.data(),
                };
                if item.apply(event, tx.now()).is_ok() {
                    tx.save(item, record);
                }
                Ok(())
            })
        })
        .await
}

async fn transitions(store: &Arc<Store>, callers: u64, time: Duration) -> anyhow::Result<f64> {
    let mut ids = Vec::new();
    for _ in 0..callers {
        let template = item(ItemId::default());
        let added: Result<ItemId, StoreError> = store
            .write(move |tx| {
                Box::pin(async move {
                    let id = tx.next_id::<ItemId>();
                    let record = NewEvent {
                        kind: sprint_core::event::EventKind::ITEM_ADDED,
                        repo: None,
                        item: Some(id),
                        actor: Actor::Scheduler,
                        data: serde_json::json!({}),
                    };
                    tx.save(Item { id, ..template }, record);
                    Ok(id)
                })
            })
            .await;
        ids.push(added?);
    }
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for id in ids {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut count = 0;
            while began.elapsed() < time {
                transition(&store, id).await?;
                count += 1;
            }
            Ok::<u64, StoreError>(count)
        });
    }
    let mut count = 0;
    while let Some(ended) = tasks.join_next().await {
        count += ended??;
    }
    Ok(rate(count, began.elapsed()))
}
