//! One set of SQL for SQLite and PostgreSQL: connections, values and statements.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, FromRow, PgConnection, PgPool, SqliteConnection, SqlitePool,
};

use super::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// PostgreSQL's advisory lock that one coordinator holds: "sprint" in ASCII.
const ADVISORY_LOCK: i64 = 0x0073_7072_696e_7400;

/// How long the lock of a coordinator that was killed a moment ago is waited for: the server comes to
/// know of its end a little later.
const LOCK_LIMIT: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Readers beside the writer; reads are short, so a few suffice.
const READERS: u32 = 4;

/// A value that a statement is given.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int(Some(i64::from(truth)))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

/// A row shape that both databases can give.
pub(crate) trait Shape: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T> Shape for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// Binds `$values` and runs the query with `$run` on whichever database `$on` is.
macro_rules! on_database {
    ($kind:ident, $on:expr, $values:expr, $query:expr, |$bound:ident, $executor:ident| $run:expr) => {
        match $on {
            $kind::Sqlite($executor) => {
                let mut $bound = $query;
                for value in $values {
                    $bound = match value {
                        Value::Int(number) => $bound.bind(number),
                        Value::Text(text) => $bound.bind(text),
                    };
                }
                $run
            }
            $kind::Postgres($executor) => {
                let mut $bound = $query;
                for value in $values {
                    $bound = match value {
                        Value::Int(number) => $bound.bind(number),
                        Value::Text(text) => $bound.bind(text),
                    };
                }
                $run
            }
        }
    };
}

/// The writer's connection.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(crate) async fn execute(&mut self, sql: String, values: Vec<Value>) -> Result<u64, StoreError> {
        Ok(on_database!(Connection, self, values, sqlx::query(AssertSqlSafe(sql)), |query, connection| query
            .execute(&mut *connection)
            .await?
            .rows_affected()))
    }

    pub(crate) async fn fetch<T: Shape>(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<T>, StoreError> {
        Ok(on_database!(Connection, self, values, sqlx::query_as(AssertSqlSafe(sql)), |query, connection| query
            .fetch_all(&mut *connection)
            .await?))
    }

    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        let sql = match self {
            Self::Sqlite(_) => "begin immediate",
            Self::Postgres(_) => "begin",
        };
        self.execute(sql.to_owned(), vec![]).await.map(|_| ())
    }

    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.execute("commit".to_owned(), vec![]).await.map(|_| ())
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.execute("rollback".to_owned(), vec![]).await.map(|_| ())
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => connection.close().await?,
            Self::Postgres(mut connection) => {
                // By itself the server gives it back some time after the connection has ended.
                sqlx::query("select pg_advisory_unlock($1)").bind(ADVISORY_LOCK).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }
}

/// The readers' connections.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    pub(crate) async fn fetch<T: Shape>(&self, sql: String, values: Vec<Value>) -> Result<Vec<T>, StoreError> {
        Ok(on_database!(Pool, self, values, sqlx::query_as(AssertSqlSafe(sql)), |query, pool| query
            .fetch_all(pool)
            .await?))
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Opens the embedded database, migrates it, and gives a writer and its readers.
pub(crate) async fn open_sqlite(path: &Path) -> Result<(Connection, Pool), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging();
    let mut writer = options.connect().await?;
    migrated(MIGRATOR.run(&mut writer).await)?;
    let pool = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.create_if_missing(false).read_only(true))
        .await?;
    Ok((Connection::Sqlite(writer), Pool::Sqlite(pool)))
}

/// Opens a PostgreSQL database, takes the coordinator's lock on it, migrates it,
/// and gives a writer and its readers.
pub(crate) async fn open_postgres(url: &str) -> Result<(Connection, Pool), StoreError> {
    let options = PgConnectOptions::from_str(url)?.application_name("sprint-coordinator").disable_statement_logging();
    let mut writer = options.connect().await?;
    let give_up = tokio::time::Instant::now() + LOCK_LIMIT;
    loop {
        let (held,): (bool,) =
            sqlx::query_as("select pg_try_advisory_lock($1)").bind(ADVISORY_LOCK).fetch_one(&mut writer).await?;
        if held {
            break;
        }
        if tokio::time::Instant::now() >= give_up {
            return Err(StoreError::InUse);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    migrated(MIGRATOR.run(&mut writer).await)?;
    let pool = PgPoolOptions::new().max_connections(READERS).connect_with(options).await?;
    Ok((Connection::Postgres(writer), Pool::Postgres(pool)))
}

fn migrated(result: Result<(), MigrateError>) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(StoreError::TooNew { version }),
        Err(error) => Err(StoreError::Migration(error)),
    }
}
