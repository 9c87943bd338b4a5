//! PostgreSQL that restarts, or dies, under load: nothing that was acknowledged is lost, and the store goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coordinator::store::{EventFilter, Location, Store, StoreError};
use sprint_core::event::EventKind;
use sprint_core::fixtures;
use sprint_core::ids::ItemId;
use sprint_core::request::ItemFilter;
use sprint_test_needs::{Need, have};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::checks::{assert_gapless, event, hold};
use crate::postgres::{Cluster, Stop};

/// How a caller's items fared.
#[derive(Default)]
struct Calls {
    made: BTreeSet<ItemId>,
    not_made: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Adds an item whose title is its caller's own.
async fn add(store: &Store, title: String) -> Result<ItemId, StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let id = tx.next_id::<ItemId>();
                let item = sprint_core::item::Item { title, ..fixtures::item(id.get(), 0) };
                tx.save(item, event(EventKind::ITEM_ADDED, Some(id)));
                Ok(id)
            })
        })
        .await
}

async fn call(store: Arc<Store>, caller: u32, stop: Arc<AtomicBool>) -> Calls {
    let mut calls = Calls::default();
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let title = format!("{caller}/{number}");
        match add(&store, title.clone()).await {
            Ok(id) => {
                calls.made.insert(id);
            }
            Err(StoreError::Unknown(_)) => {
                calls.unknown.insert(title);
            }
            Err(StoreError::Unavailable(_) | StoreError::CommitFailed(_)) => {
                calls.not_made.insert(title);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("an unclear answer: {other}"),
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_restarts_or_dies_under_load_loses_nothing_that_was_acknowledged() {
    let Some(cluster) = have(Need::Postgres, Cluster::start) else { return };
    let url = cluster.fresh_database();
    let store = Arc::new(Store::open(Location::Postgres(&url)).await.unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let callers = (0..4).map(|caller| tokio::spawn(call(Arc::clone(&store), caller, Arc::clone(&stop))));
    let callers = callers.collect::<Vec<_>>();
    for round in 0..10 {
        let before = store.live().open_items().len();
        cluster.stop(if round % 2 == 0 { Stop::Fast } else { Stop::Kill });
        cluster.start_again();
        let give_up = Instant::now() + Duration::from_mins(1);
        while store.live().open_items().len() <= before {
            assert!(Instant::now() < give_up, "round {round}: the store does not go on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut all = Calls::default();
    for caller in callers {
        let Calls { made, not_made, unknown } = caller.await.unwrap();
        all.made.extend(made);
        all.not_made.extend(not_made);
        all.unknown.extend(unknown);
    }
    let items = store.items(&ItemFilter::default()).await.unwrap();
    let here = items.iter().map(|item| item.id).collect::<BTreeSet<_>>();
    let titles = items.iter().map(|item| item.title.clone()).collect::<BTreeSet<_>>();
    assert_eq!(all.made.difference(&here).collect::<Vec<_>>(), Vec::<&ItemId>::new(), "acknowledged and lost");
    assert_eq!(titles.intersection(&all.not_made).collect::<Vec<_>>(), Vec::<&String>::new(), "refused and made");
    let surprising = here.len() - all.made.len();
    assert!(surprising <= all.unknown.len(), "{surprising} items beyond those acknowledged or unknown");
    let live = store.live().open_items().iter().map(|item| item.id).collect::<BTreeSet<_>>();
    assert_eq!(live, here, "what is live is what the database has");
    assert_gapless(&store, u64::try_from(items.len()).unwrap()).await;
    let stale: Result<Vec<String>, StoreError> =
        store.write(|tx| Box::pin(async move { tx.stale_columns().await })).await;
    assert_eq!(stale.unwrap(), Vec::<String>::new());
    Arc::into_inner(store).unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_away_is_named_and_an_idle_store_finds_it_again_by_itself() {
    let Some(cluster) = have(Need::Postgres, Cluster::start) else { return };
    let url = cluster.fresh_database();
    let store = Store::open(Location::Postgres(&url)).await.unwrap();
    add(&store, "before".to_owned()).await.unwrap();
    cluster.stop(Stop::Fast);
    let refused = add(&store, "meanwhile".to_owned()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert!(refused.to_string().contains("was not made"), "{refused}");
    let woken = store.notices().scheduler.notified();
    cluster.start_again();
    // The loops are notified without a call: waiting work must not wait for a person's next command.
    tokio::time::timeout(Duration::from_secs(30), woken).await.expect("the loops are woken");
    let id = add(&store, "after".to_owned()).await.unwrap();
    assert_eq!(id, ItemId::new(2), "the number of what was not made is given again");
    store.close().await;
}

/// Ends the session of the writer at the server, by another connection, and waits until it is gone.
async fn end_writers_session(url: &str) -> PgConnection {
    let mut other = PgConnection::connect(url).await.expect("another connection");
    // The writer holds the coordinator's lock; readers hold none.
    let holders = "from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())";
    let end = AssertSqlSafe(format!("select pg_terminate_backend(pid) {holders}"));
    let ended: Vec<(bool,)> = sqlx::query_as(end).fetch_all(&mut other).await.expect("a superuser");
    assert_eq!(ended, [(true,)], "one session holds the lock");
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let count = AssertSqlSafe(format!("select count(*) {holders}"));
        let (left,): (i64,) = sqlx::query_as(count).fetch_one(&mut other).await.expect("an answer");
        if left == 0 {
            return other;
        }
        assert!(Instant::now() < give_up, "the session does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What happens between the loss of the connection and the second try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// Another program writes an event.
    Event,
}

/// Adds two items in one batch, whose connection is lost before the order to commit. With `flushed` the writes of
/// the first were sent to the database before, since the second searches.
async fn add_over_a_lost_connection(
    store: &Arc<Store>,
    url: &str,
    flushed: bool,
    meanwhile: Meanwhile,
) -> [Result<ItemId, StoreError>; 2] {
    let (free, holder) = hold(store).await;
    let first = add(store, "first".to_owned());
    let url = url.to_owned();
    let second = store.write(move |tx| {
        Box::pin(async move {
            if flushed {
                assert_eq!(tx.outposts().await?.len(), 0);
            }
            let mut other = end_writers_session(&url).await;
            if meanwhile == Meanwhile::Event {
                // Beyond the numbers of the batch: its key does not refuse the batch, only the comparison does.
                let sql = "insert into events (seq, time_ms, kind, repo, item, actor, origin, data)
                    select max(seq) + 3, max(time_ms), 'item_edited', null, null, 'supervisor', null, '{}' from events";
                sqlx::query(sql).execute(&mut other).await.expect("is inserted");
            }
            let id = tx.next_id::<ItemId>();
            let item = sprint_core::item::Item { title: "second".to_owned(), ..fixtures::item(id.get(), 0) };
            tx.save(item, event(EventKind::ITEM_ADDED, Some(id)));
            Ok(id)
        })
    });
    let release = async {
        // Both futures were polled before this one: their jobs are in the queue.
        tokio::task::yield_now().await;
        free.send(()).ok();
    };
    let (first, second, ()) = tokio::join!(first, second, release);
    holder.await.expect("it does not panic").expect("an empty job is committed");
    [first, second]
}

async fn titles(store: &Store) -> Vec<String> {
    let items = store.items(&ItemFilter::default()).await.unwrap();
    let mut titles = items.into_iter().map(|item| item.title).collect::<Vec<_>>();
    titles.sort();
    titles
}

async fn numbers_of_events(store: &Store) -> Vec<u64> {
    let events = store.events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    events.into_iter().map(|event| event.seq.get()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_was_lost_is_committed_once_when_nothing_was_written_since() {
    let Some(cluster) = have(Need::Postgres, Cluster::start) else { return };
    for flushed in [false, true] {
        let url = cluster.fresh_database();
        let store = Arc::new(Store::open(Location::Postgres(&url)).await.unwrap());
        add(&store, "before".to_owned()).await.unwrap();
        let [first, second] = add_over_a_lost_connection(&store, &url, flushed, Meanwhile::Nothing).await;
        assert_eq!((first.unwrap(), second.unwrap()), (ItemId::new(2), ItemId::new(3)), "flushed: {flushed}");
        assert_eq!(titles(&store).await, ["before", "first", "second"], "flushed: {flushed}");
        assert_gapless(&store, 3).await;
        Arc::into_inner(store).unwrap().close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_was_lost_is_not_sent_again_when_an_event_was_written_since() {
    let Some(cluster) = have(Need::Postgres, Cluster::start) else { return };
    for flushed in [false, true] {
        let url = cluster.fresh_database();
        let store = Arc::new(Store::open(Location::Postgres(&url)).await.unwrap());
        add(&store, "before".to_owned()).await.unwrap();
        for refused in add_over_a_lost_connection(&store, &url, flushed, Meanwhile::Event).await {
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "flushed: {flushed}: {refused:?}");
        }
        assert_eq!(titles(&store).await, ["before"], "flushed: {flushed}");
        assert_eq!(numbers_of_events(&store).await, [1, 4], "flushed: {flushed}");
        // The store has read the event of the other program, and continues after it.
        assert_eq!(add(&store, "after".to_owned()).await.unwrap(), ItemId::new(2));
        assert_eq!(numbers_of_events(&store).await, [1, 4, 5], "flushed: {flushed}");
        Arc::into_inner(store).unwrap().close().await;
    }
}
