//! Records of earlier versions, brought up to date. `samples/NNNN.sql` was written by the last version whose newest
//! migration is NNNN; with a migration comes the sample of the version before it.

use coordinator::store::{Location, Store, StoreError};
use sprint_core::event::{Actor, EventKind, NewEvent};
use sprint_core::hand_off::{HandOff, HandOffId, HandOffText};
use sprint_core::ids::{Attempt, ChangeId, ItemId, TrialId, WorkerId};
use sprint_core::item::StageName;
use sprint_core::job::{AttemptJob, GateJob, Job, Role};
use sprint_core::time::Timestamp;

/// A database as an earlier version left it.
fn sample(directory: &std::path::Path, name: &str) -> std::path::PathBuf {
    let path = directory.join("sprint.db");
    let sql = std::fs::read_to_string(format!("{}/tests/store/samples/{name}.sql", env!("CARGO_MANIFEST_DIR")));
    rusqlite::Connection::open(&path).unwrap().execute_batch(&sql.unwrap()).unwrap();
    path
}

#[test]
fn every_migration_has_a_sample_of_the_version_before_it() {
    let numbers = |directory: &str| {
        let entries = std::fs::read_dir(format!("{}/{directory}", env!("CARGO_MANIFEST_DIR"))).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter_map(|name| name.get(..4)?.parse::<u32>().ok()).collect::<std::collections::BTreeSet<_>>()
    };
    let (migrations, samples) = (numbers("../migrations"), numbers("tests/store/samples"));
    // Samples are kept from 0005 on; 0006 and 0007 were made in one step from there.
    let owed = migrations.iter().filter(|number| **number > 7).map(|number| number - 1);
    assert_eq!(owed.filter(|number| !samples.contains(number)).collect::<Vec<_>>(), Vec::<u32>::new());
    assert!(samples.contains(&5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_from_before_jobs_is_complete_under_this_version() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path(), "0005");
    let store = Store::open(Location::Sqlite(&path)).await.unwrap();
    let stage = async |id| store.get(&ItemId::new(id)).await.unwrap().unwrap().stage.name();
    assert_eq!((stage(1).await, stage(2).await), (StageName::Done, StageName::Blocked));
    assert_eq!(stage(3).await, StageName::InProgress);
    let job = async |id| store.get(&WorkerId::new(id)).await.unwrap().unwrap().job;
    let attempt = AttemptJob { item: ItemId::new(2), attempt: Attempt::new(3), role: Role::Developer };
    assert_eq!(job(5).await, Job::Attempt(attempt));
    assert_eq!(job(6).await, Job::Gate(GateJob { trial: TrialId::new(1), gate: "test".to_owned() }));
    let outposts = store.live().outposts();
    let live = store.live().live_workers(&outposts[0].name);
    assert_eq!(live.iter().map(|worker| worker.id).collect::<Vec<_>>(), [WorkerId::new(3)], "it still runs");
    assert!(outposts[0].key.is_some() && store.live().repos().len() == 1);
    let next: Result<(Vec<String>, WorkerId), StoreError> =
        store.write(|tx| Box::pin(async move { Ok((tx.stale_columns().await?, tx.next_id::<WorkerId>())) })).await;
    assert_eq!(next.unwrap(), (Vec::new(), WorkerId::new(7)), "numbers go on where they were");
    store.close().await;
    // A second start finds nothing to do.
    Store::open(Location::Sqlite(&path)).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_of_a_database_that_searched_it_is_found_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path(), "0007");
    let store = Store::open(Location::Sqlite(&path)).await.unwrap();
    // 3 needs 1, which is done, and 2, which was cancelled; 4 is a feature whose part 5 is done; a worker has 6.
    let ready = store.live().assignable((i64::MIN, ItemId::default()), 10);
    assert_eq!(ready.iter().map(|item| item.id.get()).collect::<Vec<_>>(), [7]);
    let counts = store.live().item_counts();
    let expected = [(StageName::Ready, 2), (StageName::InProgress, 1), (StageName::Done, 3), (StageName::Cancelled, 1)];
    assert_eq!(counts, std::collections::BTreeMap::from(expected));
    let stale: Result<Vec<String>, StoreError> =
        store.write(|tx| Box::pin(async move { tx.stale_columns().await })).await;
    assert_eq!(stale.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_keys_had_indexes_of_their_own_is_complete_with_keys_as_rowids() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path(), "0008");
    let before = dump(&path);
    let store = Store::open(Location::Sqlite(&path)).await.unwrap();
    let stage = async |id| store.get(&ItemId::new(id)).await.unwrap().unwrap().stage.name();
    assert_eq!((stage(1).await, stage(2).await), (StageName::Done, StageName::Blocked));
    assert_eq!((stage(5).await, stage(6).await), (StageName::Ready, StageName::InProgress));
    let outposts = store.live().outposts();
    let live = store.live().live_workers(&outposts[0].name);
    assert_eq!(live.iter().map(|worker| worker.id).collect::<Vec<_>>(), [WorkerId::new(8)], "it still runs");
    // 5 needs 2, which is blocked.
    let ready = store.live().assignable((i64::MIN, ItemId::default()), 10);
    assert_eq!(ready.iter().map(|item| item.id.get()).collect::<Vec<_>>(), [7]);
    let next: Result<_, StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                let numbers = (tx.next_id::<ItemId>(), tx.next_id::<WorkerId>(), tx.next_id::<ChangeId>());
                Ok((tx.stale_columns().await?, numbers, tx.next_id::<TrialId>()))
            })
        })
        .await;
    let numbers = (ItemId::new(8), WorkerId::new(9), ChangeId::new(3));
    assert_eq!(next.unwrap(), (Vec::new(), numbers, TrialId::new(3)), "numbers go on where they were");
    store.close().await;
    assert_eq!(dump(&path), before, "each column of each row is as it was");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "select count(*) from sqlite_master where type = 'index' and name like 'sqlite_autoindex_%' and tbl_name
        in ('items', 'workers', 'changes', 'trials', 'events')";
    assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "a key has an index of its own");
    let sql = "select count(*) from sqlite_master where type = 'index' and sql is not null";
    assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 10, "the others are there");
    drop(connection);
    // A second start finds nothing to do.
    Store::open(Location::Sqlite(&path)).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_from_before_hand_offs_and_secrets_takes_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path(), "0009");
    let store = Store::open(Location::Sqlite(&path)).await.unwrap();
    assert!(store.live().secrets().is_empty());
    let (item, attempt) = (ItemId::new(2), Attempt::new(3));
    let hand_off = HandOff {
        id: HandOffId::of(item, attempt),
        item,
        attempt,
        worker: WorkerId::new(5),
        written_at: Timestamp::default(),
        text: HandOffText { test_status: "green".to_owned(), ..HandOffText::default() },
    };
    let event = NewEvent {
        kind: EventKind::HANDOFF_WRITTEN,
        repo: None,
        item: Some(item),
        actor: Actor::Coordinator,
        data: serde_json::json!({}),
    };
    let kept = hand_off.clone();
    let saved: Result<(), StoreError> = store
        .write(move |tx| {
            tx.save(kept, event);
            Box::pin(async { Ok(()) })
        })
        .await;
    saved.unwrap();
    assert_eq!(store.get(&hand_off.id).await.unwrap(), Some(hand_off.clone()));
    assert_eq!(store.list::<HandOff>(&[("item", 2_u64.into())], None).await.unwrap(), [hand_off]);
    store.close().await;
}

/// Every row of the tables with number keys, with all columns by name.
fn dump(path: &std::path::Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for (table, key, columns) in [
        ("items", "id", "repo, kind, stage, parent, body"),
        ("workers", "id", "item, repo, role, outpost, state, live, body"),
        ("changes", "id", "repo, item, state, pending, body"),
        ("trials", "id", "repo, tree, state, retired, body"),
        ("events", "seq", "time_ms, kind, repo, item, actor, data, origin"),
    ] {
        let sql = format!("select json_array('{table}', {key}, {columns}) from {table} order by {key}");
        let mut query = connection.prepare(&sql).unwrap();
        rows.extend(query.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    rows
}
