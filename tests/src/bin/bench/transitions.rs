//! Durable transitions of items, beside bare commits of the same SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use coordinator::store::{Location, Store, StoreError};
use sprint_core::event::{Actor, NewEvent, Recorded as _};
use sprint_core::fixtures;
use sprint_core::ids::{ItemId, OutpostName, WorkerId};
use sprint_core::item::{Item, ItemEvent, Lease, Stage};
use sqlx::{Connection as _, Executor as _};

use sprint_tests::load::figures::{Figures, rate};

const TIME: Duration = Duration::from_secs(3);

pub(crate) async fn run(figures: &mut Figures) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let floor = single_commits(&directory.path().join("floor.db")).await?;
    let store = Arc::new(Store::open(Location::Sqlite(&directory.path().join("sprint.db"))).await?);
    for (callers, aim) in [(1, "≥ 0.7 × the floor"), (64, "≥ 8 × the floor"), (256, "none")] {
        let rate = transitions(&store, callers).await?;
        let what = format!("item transitions, {callers} callers");
        let beside = format!("{floor:.0}/s single-row commits");
        figures.add(&what, format!("{rate:.0}/s ({:.1} ×)", rate / floor), &beside, aim);
    }
    store.close().await;
    Ok(())
}

async fn single_commits(path: &Path) -> anyhow::Result<f64> {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
    connection.execute("create table rows (id integer primary key, body text not null)").await?;
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < TIME {
        sqlx::query("insert into rows (body) values ($1)").bind("a row").execute(&mut connection).await?;
        count += 1;
    }
    let floor = rate(count, began.elapsed());
    connection.close().await?;
    Ok(floor)
}

fn item(id: ItemId) -> Item {
    Item { run: Some("true".to_owned()), created_at: SystemTime::now().into(), ..fixtures::item(id.get(), 0) }
}

/// Leases an item and loses it again, over and over: the state machine's own transitions.
async fn transition(store: &Store, id: ItemId) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut item) = tx.item(id).await? else { return Ok(()) };
                let event = if let (Stage::Ready, Ok(outpost)) = (&item.stage, OutpostName::new("bench")) {
                    let lease = Lease { worker: WorkerId::new(1), outpost };
                    ItemEvent::Leased { attempt: item.attempt.next(), lease }
                } else {
                    item.feedback.clear();
                    let (reason, retry_at) = ("bench".to_owned(), tx.now());
                    ItemEvent::AttemptLost { attempt: item.attempt, reason, retry_at }
                };
                let record = NewEvent {
                    kind: event.kind(),
                    repo: Some(item.repo.clone()),
                    item: Some(id),
                    actor: Actor::Scheduler,
                    data: event.data(),
                };
                if item.apply(event, tx.now()).is_ok() {
                    tx.save_item(item, record);
                }
                Ok(())
            })
        })
        .await
}

async fn transitions(store: &Arc<Store>, callers: u64) -> anyhow::Result<f64> {
    let mut ids = Vec::new();
    for _ in 0..callers {
        let template = item(ItemId::default());
        let added: Result<ItemId, StoreError> = store
            .write(move |tx| {
                Box::pin(async move {
                    let id = tx.next_item();
                    let record = NewEvent {
                        kind: sprint_core::event::EventKind::ItemAdded,
                        repo: None,
                        item: Some(id),
                        actor: Actor::Scheduler,
                        data: serde_json::json!({}),
                    };
                    tx.save_item(Item { id, ..template }, record);
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
            while began.elapsed() < TIME {
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
