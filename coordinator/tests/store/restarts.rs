//! PostgreSQL that restarts, or dies, under load: nothing that was acknowledged is lost, and the store goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coordinator::store::{Location, Store, StoreError};
use sprint_core::event::EventKind;
use sprint_core::fixtures;
use sprint_core::ids::ItemId;
use sprint_core::request::ItemFilter;
use sprint_test_needs::{Need, have};

use crate::checks::{assert_gapless, event};
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
                tx.save(item, event(EventKind::ItemAdded, Some(id)));
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
    // The loops are told without a call: work that waits must not wait for somebody who types.
    tokio::time::timeout(Duration::from_secs(30), woken).await.expect("the loops are woken");
    let id = add(&store, "after".to_owned()).await.unwrap();
    assert_eq!(id, ItemId::new(2), "the number of what was not made is given again");
    store.close().await;
}
