//! What must hold on every database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator::store::{EventFilter, Store, StoreError, Tx};
use serde_json::json;
use sprint_core::bounds::PAGE;
use sprint_core::change::ChangeState;
use sprint_core::event::{Actor, EventKind, NewEvent, Seq};
use sprint_core::fixtures::{self, repo_name};
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, OutpostName};
use sprint_core::item::{Item, ItemKind, Priority, Stage, StageName};
use sprint_core::outpost::Outpost;
use sprint_core::request::ItemFilter;
use sprint_core::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Database;

pub(crate) fn event(kind: EventKind, item: Option<ItemId>) -> NewEvent {
    NewEvent { kind, repo: None, item, actor: Actor::Supervisor, data: json!({ "quote": "it's \"so\"" }) }
}

fn item(id: ItemId) -> Item {
    Item {
        description: "ünïcode".to_owned(), created_at: Timestamp::from_millis(1_000), ..fixtures::item(id.get(), 0)
    }
}

fn add(tx: &mut Tx, change: impl FnOnce(&mut Item)) -> ItemId {
    let id = tx.next_id::<ItemId>();
    let mut item = item(id);
    change(&mut item);
    tx.save(item, event(EventKind::ITEM_ADDED, Some(id)));
    id
}

pub(crate) async fn write<T: Send + 'static>(store: &Store, job: impl FnOnce(&mut Tx) -> T + Send + 'static) -> T {
    let written: Result<T, StoreError> = store.write(move |tx| Box::pin(async move { Ok(job(tx)) })).await;
    written.unwrap()
}

/// Keeps the writer busy until it is told to go on, so that what others write waits and shares a batch.
pub(crate) async fn hold(store: &Arc<Store>) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (free, held) = oneshot::channel::<()>();
    let (began, runs) = oneshot::channel::<()>();
    let store = Arc::clone(store);
    let holder = tokio::spawn(async move {
        let busy = store.write(move |_| {
            Box::pin(async move {
                began.send(()).ok();
                held.await.ok();
                Ok::<_, StoreError>(())
            })
        });
        busy.await
    });
    runs.await.expect("the first job runs");
    (free, holder)
}

pub(crate) async fn assert_gapless(store: &Store, count: u64) {
    let mut seen = 0;
    loop {
        let page =
            store.events(EventFilter { since: Seq::new(seen), limit: 500, ..EventFilter::default() }).await.unwrap();
        if page.is_empty() {
            break;
        }
        for event in page {
            seen += 1;
            assert_eq!(event.seq, Seq::new(seen), "the record has a gap");
        }
    }
    assert_eq!(seen, count);
}

fn assignable(store: &Store) -> Vec<ItemId> {
    store.live().assignable((i64::MIN, ItemId::default()), 100).iter().map(|item| item.id).collect()
}

pub(crate) async fn acknowledged_is_durable(database: &Database) {
    let store = database.open().await;
    let id = write(&store, |tx| add(tx, |_| {})).await;
    let before = store.get(&id).await.unwrap().unwrap();
    store.close().await;
    let store = database.open().await;
    assert_eq!(store.get(&id).await.unwrap(), Some(before));
    let next = write(&store, |tx| add(tx, |_| {})).await;
    assert_eq!(next.get(), id.get() + 1, "numbers go on where they were");
    assert_gapless(&store, 2).await;
    store.close().await;
}

pub(crate) async fn a_failed_job_changes_nothing(database: &Database) {
    let store = database.open().await;
    let failed: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                add(tx, |_| {});
                Err(StoreError::Closed)
            })
        })
        .await;
    assert!(failed.is_err());
    let id = write(&store, |tx| add(tx, |_| {})).await;
    assert_eq!(id, ItemId::new(1), "the failed job's number was not used");
    assert_eq!(store.items(&ItemFilter::default()).await.unwrap().len(), 1);
    assert_gapless(&store, 1).await;
    store.close().await;
}

pub(crate) async fn concurrent_jobs_are_serial(database: &Database) {
    let store = Arc::new(database.open().await);
    let id = write(&store, |tx| add(tx, |_| {})).await;
    let mut jobs = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        jobs.spawn(async move {
            let written: Result<(), StoreError> = store
                .write(move |tx| {
                    Box::pin(async move {
                        let mut item = tx.get(&id).await?.unwrap();
                        item.attempt = item.attempt.next();
                        tx.save(item, event(EventKind::ITEM_EDITED, Some(id)));
                        Ok(())
                    })
                })
                .await;
            written.unwrap();
        });
    }
    while let Some(ended) = jobs.join_next().await {
        ended.unwrap();
    }
    assert_eq!(store.get(&id).await.unwrap().unwrap().attempt, Attempt::new(100), "an update was lost");
    assert_gapless(&store, 101).await;
    store.close().await;
}

pub(crate) async fn a_panicking_job_harms_no_other(database: &Database) {
    let store = database.open().await;
    let bad = store.write::<(), StoreError, _>(|tx| {
        Box::pin(async move {
            add(tx, |_| {});
            panic!("a bug in a job, made by this test");
        })
    });
    let good = write(&store, |tx| add(tx, |_| {}));
    let (bad, good) = tokio::join!(bad, good);
    assert!(bad.is_err());
    assert_eq!(good, ItemId::new(1));
    assert_gapless(&store, 1).await;
    store.close().await;
}

pub(crate) async fn large_batches_are_written_whole(database: &Database) {
    let store = database.open().await;
    write(&store, |tx| {
        for number in 1..=1_337 {
            add(tx, |item| item.labels.extend((number <= 3).then(|| "first".to_owned())));
        }
    })
    .await;
    assert_eq!(store.items(&ItemFilter::default()).await.unwrap().len(), 1_337);
    let filter = ItemFilter { limit: Some(2), ..ItemFilter::default() };
    let newest = store.items(&filter).await.unwrap().iter().map(|item| item.id.get()).collect::<Vec<_>>();
    assert_eq!(newest, [1_336, 1_337], "a limit keeps the newest, oldest first");
    let filter = ItemFilter { labels: vec!["first".to_owned()], ..filter };
    let newest = store.items(&filter).await.unwrap().iter().map(|item| item.id.get()).collect::<Vec<_>>();
    assert_eq!(newest, [2, 3], "a limit keeps the newest of those with the label");
    assert_gapless(&store, 1_337).await;
    store.close().await;
}

pub(crate) async fn a_page_holds_so_many_bytes_and_all_pages_hold_everything(database: &Database) {
    let store = database.open().await;
    let kib = usize::try_from(PAGE).unwrap() / 64;
    write(&store, move |tx| {
        // As characters they would be half as much.
        for number in 1..=130 {
            add(tx, |item| {
                item.description = "ä".repeat(kib / 2);
                item.labels.extend((number % 40 == 0).then(|| "rare".to_owned()));
            });
        }
    })
    .await;
    for (filter, expected) in [
        (ItemFilter::default(), (1..=130).collect::<Vec<_>>()),
        (ItemFilter { limit: Some(70), ..ItemFilter::default() }, (61..=130).collect()),
        (ItemFilter { limit: Some(3), ..ItemFilter::default() }, vec![128, 129, 130]),
        (ItemFilter { labels: vec!["rare".to_owned()], ..ItemFilter::default() }, vec![40, 80, 120]),
        (ItemFilter { labels: vec!["rare".to_owned()], limit: Some(2), ..ItemFilter::default() }, vec![80, 120]),
        (ItemFilter { labels: vec!["none".to_owned()], ..ItemFilter::default() }, vec![]),
        (ItemFilter { before: Some(ItemId::new(3)), ..ItemFilter::default() }, vec![1, 2]),
    ] {
        let all = store.items(&filter).await.unwrap().iter().map(|item| item.id.get()).collect::<Vec<_>>();
        assert_eq!(all, expected, "{filter:?}");
    }
    let page = store.items_page(&ItemFilter::default()).await.unwrap();
    let ids = page.rows.iter().map(|item| item.id.get()).collect::<Vec<_>>();
    assert!(page.more && ids.len() <= 64 && ids.ends_with(&[129, 130]), "{ids:?}");
    let rest = store.items_page(&ItemFilter { before: Some(ItemId::new(10)), ..ItemFilter::default() }).await.unwrap();
    assert_eq!((rest.rows.len(), rest.more), (9, false));
    store.close().await;
}

pub(crate) async fn only_free_items_can_be_given_out(database: &Database) {
    let store = database.open().await;
    let (low, urgent, waiting, blocked) = write(&store, |tx| {
        let low = add(tx, |item| item.priority = Priority::Low);
        let urgent = add(tx, |item| item.priority = Priority::Urgent);
        let waiting = add(tx, |item| item.needs = BTreeSet::from([low]));
        add(tx, |item| item.kind = ItemKind::Feature);
        let convoy = add(tx, |item| {
            item.kind = ItemKind::Convoy;
            item.stage = Stage::Inbox;
        });
        add(tx, |item| item.parent = Some(convoy));
        let blocked = add(tx, |item| item.stage = Stage::Blocked { reason: "why".to_owned() });
        (low, urgent, waiting, blocked)
    })
    .await;
    assert_eq!(assignable(&store), [urgent, low], "by urgency, and nothing that waits");
    write(&store, move |tx| {
        let mut done = item(low);
        done.stage = Stage::Done { commit: None };
        tx.save(done, event(EventKind::ITEM_LANDED, Some(low)));
        let mut free = item(blocked);
        free.created_at = Timestamp::from_millis(0);
        tx.save(free, event(EventKind::ITEM_RETRIED, Some(blocked)));
    })
    .await;
    assert_eq!(assignable(&store), [urgent, blocked, waiting], "a met need frees its item");
    let first = store.live().assignable((i64::MIN, ItemId::default()), 1).pop().unwrap();
    let after = (sprint_core::schedule::urgency(first.priority, first.created_at), first.id);
    let rest = store.live().assignable(after, 10).iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(rest, [blocked, waiting], "pages follow one another");
    store.close().await;
    let store = database.open().await;
    assert_eq!(assignable(&store), [urgent, blocked, waiting], "also after a restart");
    store.close().await;
}

pub(crate) async fn a_cancelled_need_holds_until_it_is_done(database: &Database) {
    let store = database.open().await;
    let cancelled = |id| {
        let mut need = item(id);
        need.stage = Stage::Cancelled { reason: "why".to_owned() };
        need
    };
    let (need, waiting) = write(&store, |tx| {
        let need = add(tx, |_| {});
        (need, add(tx, |item| item.needs = BTreeSet::from([need])))
    })
    .await;
    write(&store, move |tx| tx.save(cancelled(need), event(EventKind::ITEM_CANCELLED, Some(need)))).await;
    assert_eq!(assignable(&store), []);
    store.close().await;
    let store = database.open().await;
    assert_eq!(assignable(&store), [], "also after a restart");
    let later = write(&store, move |tx| add(tx, |item| item.needs = BTreeSet::from([need]))).await;
    assert_eq!(assignable(&store), [], "an item that came later is held, too");
    write(&store, move |tx| tx.save(item(need), event(EventKind::ITEM_RETRIED, Some(need)))).await;
    assert_eq!(assignable(&store), [need], "a cancelled item can be retried");
    write(&store, move |tx| {
        let mut done = item(need);
        done.stage = Stage::Done { commit: None };
        tx.save(done, event(EventKind::ITEM_LANDED, Some(need)));
    })
    .await;
    assert_eq!(assignable(&store), [waiting, later]);
    let counts = store.live().item_counts();
    assert_eq!(counts, BTreeMap::from([(StageName::Ready, 2), (StageName::Done, 1)]));
    store.close().await;
}

pub(crate) async fn edited_needs_are_followed(database: &Database) {
    let store = database.open().await;
    let (first, second) = write(&store, |tx| {
        let first = add(tx, |_| {});
        (first, add(tx, |item| item.needs = BTreeSet::from([first])))
    })
    .await;
    assert_eq!(assignable(&store), [first]);
    store.close().await;
    // Opened again, so that nothing is cached.
    let store = database.open().await;
    let edited: Result<(), StoreError> = store
        .write(move |tx| {
            Box::pin(async move {
                let mut item = tx.get(&second).await?.unwrap();
                item.needs.clear();
                tx.save(item, event(EventKind::ITEM_EDITED, Some(second)));
                Ok(())
            })
        })
        .await;
    edited.unwrap();
    assert_eq!(assignable(&store), [first, second]);
    store.close().await;
}

pub(crate) async fn features_and_convoys_settle(database: &Database) {
    let store = database.open().await;
    let commit = || Some(CommitId::new("a".repeat(40)).unwrap());
    let (done, part) = write(&store, move |tx| {
        let done = add(tx, |item| item.kind = ItemKind::Feature);
        add(tx, |item| (item.parent, item.stage) = (Some(done), Stage::Done { commit: None }));
        add(tx, |item| (item.parent, item.stage) = (Some(done), Stage::Cancelled { reason: "why".to_owned() }));
        let open = add(tx, |item| item.kind = ItemKind::Feature);
        add(tx, |item| (item.parent, item.stage) = (Some(open), Stage::Done { commit: None }));
        add(tx, |item| item.parent = Some(open));
        add(tx, |item| item.kind = ItemKind::Feature);
        let convoy = add(tx, |item| (item.kind, item.stage) = (ItemKind::Convoy, Stage::Done { commit: commit() }));
        (done, add(tx, |item| item.parent = Some(convoy)))
    })
    .await;
    let finished = store.live().finished_features();
    assert_eq!(finished.iter().map(|item| item.id).collect::<Vec<_>>(), [done]);
    let carried = store.live().carried_by_done_convoys();
    assert_eq!(carried.iter().map(|item| item.id).collect::<Vec<_>>(), [part]);
    store.close().await;
    let store = database.open().await;
    let ids = |items: Vec<std::sync::Arc<Item>>| items.iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(ids(store.live().finished_features()), [done], "also after a restart");
    assert_eq!(ids(store.live().carried_by_done_convoys()), [part], "also after a restart");
    store.close().await;
}

pub(crate) async fn removed_rows_are_gone(database: &Database) {
    let store = database.open().await;
    let name = OutpostName::new("here").unwrap();
    let outpost = fixtures::outpost();
    write(&store, move |tx| tx.save(outpost, event(EventKind::OUTPOST_JOINED, None))).await;
    assert_eq!(store.live().outposts().len(), 1);
    let key = name.clone();
    write(&store, move |tx| tx.remove(&key, event(EventKind::OUTPOST_REMOVED, None))).await;
    assert_eq!(store.live().outpost_named(&name), None);
    let read: Result<Option<Outpost>, StoreError> =
        store.write(move |tx| Box::pin(async move { tx.get(&name).await })).await;
    assert_eq!(read.unwrap(), None);
    store.close().await;
}

pub(crate) async fn events_are_filtered(database: &Database) {
    let store = database.open().await;
    let (first, second) = write(&store, |tx| (add(tx, |_| {}), add(tx, |_| {}))).await;
    let of_second =
        store.events(EventFilter { item: Some(second), limit: 10, ..EventFilter::default() }).await.unwrap();
    assert_eq!(of_second.len(), 1);
    let found = &of_second[0];
    assert_eq!((found.seq, found.item, &found.kind), (Seq::new(2), Some(second), &EventKind::ITEM_ADDED));
    assert_eq!(found.data, json!({ "quote": "it's \"so\"" }));
    assert_eq!(
        store
            .events(EventFilter { since: Seq::new(1), item: Some(first), limit: 10, ..EventFilter::default() })
            .await
            .unwrap(),
        []
    );
    store.close().await;
}

pub(crate) async fn the_queue_is_in_order(database: &Database) {
    let store = database.open().await;
    let order = write(&store, |tx| {
        let mut changes = Vec::new();
        for priority in [Priority::Low, Priority::High, Priority::High] {
            let item = add(tx, |item| item.priority = priority);
            let change = fixtures::change(tx.next_id::<ChangeId>().get(), item.get(), ChangeState::Queued);
            changes.push(change.id);
            tx.save(change, event(EventKind::CHANGE_QUEUED, Some(item)));
        }
        changes
    })
    .await;
    let queue = store.live().queue(&repo_name()).changes;
    let places = queue.iter().map(|entry| (entry.change.id, entry.priority)).collect::<Vec<_>>();
    assert_eq!(places, [(order[1], Priority::High), (order[2], Priority::High), (order[0], Priority::Low)]);
    assert_eq!(store.live().busy_repos(), [repo_name()]);
    store.close().await;
}

pub(crate) async fn committed_events_are_announced(database: &Database) {
    let store = database.open().await;
    let mut events = store.notices().events();
    write(&store, |tx| add(tx, |_| {})).await;
    events.changed().await.unwrap();
    assert_eq!(*events.borrow_and_update(), Seq::new(1));
    assert_eq!(
        store.events(EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap().len(),
        1,
        "an announced event can be read"
    );
    store.close().await;
}

pub(crate) async fn a_failed_statement_fails_its_whole_batch(database: &Database) {
    let store = Arc::new(database.open().await);
    let need = write(&store, |tx| add(tx, |_| {})).await;
    database.meddle("alter table events rename to hidden").await;
    // The first job holds the writer, so that the next two wait together and share a batch:
    // one whose rows cannot be written, and one whose search is what tries to write them.
    let (free, holder) = hold(&store).await;
    let adding = store.write::<ItemId, StoreError, _>(move |tx| {
        Box::pin(async move { Ok(add(tx, |item| item.needs = BTreeSet::from([need]))) })
    });
    let searching = store.write::<(), StoreError, _>(|tx| {
        Box::pin(async move {
            // A job may take an error lightly; the batch must not.
            let _ = tx.outposts().await;
            Ok(())
        })
    });
    // Both others were polled before: their jobs are in the queue.
    let (added, searched, ()) = tokio::join!(adding, searching, async { free.send(()).unwrap() });
    holder.await.unwrap().unwrap();
    assert!(added.is_err(), "an item was acknowledged whose rows were not written");
    assert!(searched.is_err(), "a job of the broken batch was acknowledged");
    database.meddle("alter table hidden rename to events").await;
    let next = write(&store, move |tx| add(tx, |item| item.needs = BTreeSet::from([need]))).await;
    assert_eq!(next.get(), need.get() + 1, "nothing of the broken batch is left");
    assert_gapless(&store, 2).await;
    store.close().await;
}

pub(crate) async fn a_lone_caller_and_many_lose_nothing(database: &Database) {
    const ROUNDS: u64 = 10;
    const CALLERS: u64 = 12;
    let store = Arc::new(database.open().await);
    let calls = |count: u64| {
        let store = Arc::clone(&store);
        async move {
            let mut answers = Vec::new();
            for _ in 0..count {
                answers.push(write(&store, |tx| add(tx, |_| {})).await);
            }
            answers
        }
    };
    let lone = tokio::spawn(calls(ROUNDS * CALLERS));
    let mut answered = Vec::new();
    for _ in 0..ROUNDS {
        let many = (0..CALLERS).map(|_| tokio::spawn(calls(3))).collect::<Vec<_>>();
        for caller in many {
            answered.push(caller.await.unwrap());
        }
    }
    answered.push(lone.await.unwrap());
    answered.push(calls(5).await);
    assert!(answered.iter().all(|answers| answers.is_sorted()), "a caller's calls are made in their order");
    let all = answered.into_iter().flatten().collect::<BTreeSet<_>>();
    let count = ROUNDS * CALLERS * 4 + 5;
    assert_eq!(all, (1..=count).map(ItemId::new).collect(), "each was given once");
    let events = store.events(EventFilter { limit: 1_000, ..EventFilter::default() }).await.unwrap();
    let order = events.iter().map(|event| (event.seq.get(), event.item.unwrap().get())).collect::<Vec<_>>();
    assert_eq!(order, (1..=count).map(|number| (number, number)).collect::<Vec<_>>(), "events are in order");
    assert_eq!(store.live().open_items().len(), order.len());
    store.close().await;
}

pub(crate) async fn a_panicking_job_of_a_lone_caller_leaves_the_record(database: &Database) {
    let store = database.open().await;
    let bad: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                add(tx, |_| {});
                panic!("a bug in a job, made by this test");
            })
        })
        .await;
    assert!(bad.is_err());
    assert_eq!(write(&store, |tx| add(tx, |_| {})).await, ItemId::new(1));
    assert_gapless(&store, 1).await;
    store.close().await;
}

pub(crate) async fn a_commit_that_failed_alone_is_forgotten_and_the_record_found_again(database: &Database) {
    let store = database.open().await;
    let first = write(&store, |tx| add(tx, |_| {})).await;
    database.meddle("alter table events rename to hidden").await;
    let failed: Result<ItemId, StoreError> = store.write(|tx| Box::pin(async move { Ok(add(tx, |_| {})) })).await;
    assert!(matches!(failed, Err(StoreError::CommitFailed(_))), "{failed:?}");
    let woken = store.notices().scheduler.notified();
    database.meddle("alter table hidden rename to events").await;
    // The loops are notified without a call.
    tokio::time::timeout(std::time::Duration::from_secs(30), woken).await.expect("the loops are woken");
    assert_eq!(write(&store, |tx| add(tx, |_| {})).await.get(), first.get() + 1, "nothing of it is left");
    assert_gapless(&store, 2).await;
    store.close().await;
}
