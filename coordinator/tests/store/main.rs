//! The store's own suite, run whole against SQLite and against PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod checks;
mod identity;
mod migrations;
mod postgres;
mod restarts;

use coordinator::store::{Location, Store, StoreError};
use postgres::Cluster;
use sprint_test_needs::{Need, have};

/// A database that can be opened, closed and opened again.
enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Database {
    async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    /// Changes the schema behind the store's back.
    async fn meddle(&self, sql: &'static str) {
        match self {
            Self::Sqlite(directory) => {
                let connection = rusqlite::Connection::open(directory.path().join("sprint.db")).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Self::Postgres(url) => {
                let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(url).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
            }
        }
    }

    async fn try_open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Sqlite(directory) => Store::open(Location::Sqlite(&directory.path().join("sprint.db"))).await,
            Self::Postgres(url) => Store::open(Location::Postgres(url)).await,
        }
    }
}

/// Runs every check on a fresh database each.
macro_rules! suite {
    ($fresh:expr) => {
        suite!(@each $fresh, checks: acknowledged_is_durable, a_failed_job_changes_nothing, concurrent_jobs_are_serial,
            a_page_holds_so_many_bytes_and_all_pages_hold_everything, a_panicking_job_harms_no_other, large_batches_are_written_whole, only_free_items_can_be_given_out,
            edited_needs_are_followed, a_cancelled_need_holds_until_it_is_done, features_and_convoys_settle, removed_rows_are_gone, events_are_filtered,
            the_queue_is_in_order, a_failed_statement_fails_its_whole_batch, committed_events_are_announced,
            a_lone_caller_and_many_lose_nothing, a_panicking_job_of_a_lone_caller_leaves_the_record,
            a_commit_that_failed_alone_is_forgotten_and_the_record_found_again);
        suite!(@each $fresh, identity: the_directory_follows_the_record,
            what_is_not_committed_is_not_in_the_directory, the_audit_holds_what_came_from_somewhere)
    };
    (@each $fresh:expr, $module:ident: $($check:ident),+) => {
        $(
            println!("{}", stringify!($check));
            $module::$check(&$fresh).await;
        )+
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_on_sqlite() {
    suite!(Database::Sqlite(tempfile::tempdir().unwrap()));
}

#[tokio::test]
async fn the_suite_holds_on_sqlite_in_a_runtime_of_one_thread() {
    suite!(Database::Sqlite(tempfile::tempdir().unwrap()));
}

/// The name of the thread that runs a job.
async fn place(store: &Store) -> Option<String> {
    checks::write(store, |_| std::thread::current().name().map(ToOwned::to_owned)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_alone_writes_in_place_and_any_other_on_the_writers_thread() {
    let database = Database::Sqlite(tempfile::tempdir().unwrap());
    let store = std::sync::Arc::new(database.open().await);
    let record = Some("record".to_owned());
    assert_ne!(place(&store).await, record, "alone");
    let (free, holder) = checks::hold(&store).await;
    let (first, second, ()) = tokio::join!(place(&store), place(&store), async { free.send(()).unwrap() });
    assert_eq!((&first, &second), (&record, &record), "while another caller writes");
    holder.await.unwrap().unwrap();
    assert_eq!(place(&store).await, record, "after a batch of two, others may wait for the thread, too");
    assert_ne!(place(&store).await, record, "after a batch of one");
    store.close().await;
    let closed: Result<(), StoreError> = store.write(|_| Box::pin(async { Ok(()) })).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_on_postgres() {
    let Some(cluster) = have(Need::Postgres, Cluster::start) else { return };
    suite!(Database::Postgres(cluster.fresh_database()));
    let url = cluster.fresh_database();
    let held = Store::open(Location::Postgres(&url)).await.unwrap();
    let second = Store::open(Location::Postgres(&url)).await;
    let Err(StoreError::InUse { holder }) = second else { panic!("one coordinator for one database") };
    assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
    held.close().await;
    // A number of 64 bits: what SQLite alone does with its keys is on record here, and was not run.
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let sql = "select (select data_type from information_schema.columns where table_name = 'events'
        and column_name = 'seq'), (select success from _sqlx_migrations where version = 9)";
    let found: (String, bool) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(found, ("bigint".to_owned(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_coordinator_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    Store::open(Location::Sqlite(&path)).await.unwrap().close().await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'later', true, x'00', 0)",
        )
        .unwrap();
    drop(connection);
    let error = Store::open(Location::Sqlite(&path)).await.err().unwrap();
    assert!(matches!(error, StoreError::TooNew { version: 9999 }), "{error}");
    assert!(error.to_string().contains("newer than this coordinator"), "{error}");
}
