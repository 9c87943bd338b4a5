//! PostgreSQL: the writer's connection holds the coordinator's lock, and comes back after a restart.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::READERS;
use super::failure::DatabaseError;
use super::migrations::{for_postgres, migrated};
use super::value::{Rows, Shape, Statement, Value, Write};
use crate::store::error::StoreError;

/// PostgreSQL's advisory lock that one coordinator holds: "sprint" in ASCII.
const ADVISORY_LOCK: i64 = 0x0073_7072_696e_7400;

/// How long the lock of a coordinator that was killed a moment ago is waited for: the server notices
/// its end a little later.
const LOCK_LIMIT: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// How long one try to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Rows that one statement writes at most. Powers of two up to this are used, so that few statements are
/// prepared, and the parameters stay far below PostgreSQL's 65,535.
const ROWS_PER_STATEMENT: usize = 128;

/// The writer's connection; none after it was lost, until it is made again.
pub(crate) struct Writer {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Writer {
    /// Writes in order, with as few trips as go; stops at the first that fails.
    pub(crate) async fn execute(&mut self, writes: &[Write]) -> Result<(), DatabaseError> {
        for write in writes {
            match write {
                Write::Statement(Statement { sql, values }) => self.execute_one(sql.clone(), values).await?,
                Write::Rows(Rows { table: _, statement, values }) => {
                    let mut left = values.as_slice();
                    while !left.is_empty() {
                        let (now, later) = left.split_at(ROWS_PER_STATEMENT.min(1 << left.len().ilog2()));
                        self.execute_one(statement(now.len()), now.iter().flatten()).await?;
                        left = later;
                    }
                }
            }
        }
        Ok(())
    }

    async fn execute_one(
        &mut self,
        sql: String,
        values: impl IntoIterator<Item = &Value>,
    ) -> Result<(), DatabaseError> {
        let connection = self.connection()?;
        let done = bind(sqlx::query(AssertSqlSafe(sql)), values).execute(connection).await;
        self.noted(done.map_err(DatabaseError::from))?;
        Ok(())
    }

    pub(crate) async fn fetch<T: Shape>(
        &mut self,
        Statement { sql, values }: Statement,
    ) -> Result<Vec<T>, DatabaseError> {
        let connection = self.connection()?;
        let rows = bind(sqlx::query(AssertSqlSafe(sql)), &values).fetch_all(connection).await;
        let rows = self.noted(rows.map_err(DatabaseError::from))?;
        Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
    }

    fn connection(&mut self) -> Result<&mut PgConnection, DatabaseError> {
        let lost = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection to PostgreSQL is lost");
        self.connection.as_mut().ok_or_else(|| DatabaseError::Postgres(sqlx::Error::Io(lost())))
    }

    /// Drops the connection when it is lost; the lock goes with it.
    fn noted<T>(&mut self, result: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        if result.as_ref().is_err_and(DatabaseError::is_disconnected) {
            self.connection = None;
        }
        result
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Connects again and takes the lock again.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another coordinator has taken the database over, else what PostgreSQL says.
    pub(crate) async fn reconnect(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        let mut connection = connect(&self.options).await?;
        lock(&mut connection).await?;
        self.connection = Some(connection);
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), DatabaseError> {
        let Some(mut connection) = self.connection else { return Ok(()) };
        // By itself the server gives it back some time after the connection has ended.
        sqlx::query("select pg_advisory_unlock($1)").bind(ADVISORY_LOCK).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

fn bind<'q>(
    mut query: Query<'q, Postgres, PgArguments>,
    values: impl IntoIterator<Item = &'q Value>,
) -> Query<'q, Postgres, PgArguments> {
    for value in values {
        query = match value {
            Value::Int(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.as_deref()),
        };
    }
    query
}

/// The readers' connections.
#[derive(Clone)]
pub(crate) struct Readers(PgPool);

impl Readers {
    pub(crate) async fn fetch<T: Shape>(&self, Statement { sql, values }: Statement) -> Result<Vec<T>, DatabaseError> {
        let rows = bind(sqlx::query(AssertSqlSafe(sql)), &values).fetch_all(&self.0).await?;
        Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// Opens a PostgreSQL database, takes the coordinator's lock on it, migrates it,
/// and gives a writer and its readers.
pub(crate) async fn open(url: &str) -> Result<(Writer, Readers), StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(DatabaseError::from)?
        .application_name(&application())
        .disable_statement_logging();
    let mut connection = connect(&options).await?;
    lock(&mut connection).await?;
    migrated(for_postgres().run(&mut connection).await)?;
    let pool = PgPoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.clone())
        .await
        .map_err(DatabaseError::from)?;
    Ok((Writer { options, connection: Some(connection) }, Readers(pool)))
}

/// The name of this process in `pg_stat_activity`: a coordinator that is refused prints it as the holder.
fn application() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    format!("sprint-coordinator {}@{host}", std::process::id())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let connected = tokio::time::timeout(CONNECT_LIMIT, options.connect()).await;
    let timed_out = |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 5 s"));
    Ok(connected.map_err(timed_out).and_then(|connected| connected).map_err(DatabaseError::from)?)
}

/// Takes the coordinator's lock; names who holds it when that is another.
async fn lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    let give_up = tokio::time::Instant::now() + LOCK_LIMIT;
    loop {
        let (held,): (bool,) = sqlx::query_as("select pg_try_advisory_lock($1)")
            .bind(ADVISORY_LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(DatabaseError::from)?;
        if held {
            return Ok(());
        }
        if tokio::time::Instant::now() >= give_up {
            return Err(StoreError::InUse { holder: holder(connection).await });
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

/// The process that holds the lock, as it has named itself: `process 123 on host-a`.
async fn holder(connection: &mut PgConnection) -> String {
    // An advisory lock's number is in two halves.
    let sql = "select activity.application_name from pg_locks as locks
        join pg_stat_activity as activity on activity.pid = locks.pid
        where locks.locktype = 'advisory' and locks.granted and locks.objsubid = 1
          and locks.database = (select oid from pg_database where datname = current_database())
          and (locks.classid::bigint << 32 | locks.objid::bigint) = $1";
    let found: Result<Option<(String,)>, _> = sqlx::query_as(sql).bind(ADVISORY_LOCK).fetch_optional(connection).await;
    let named = found.ok().flatten().and_then(|(name,)| {
        let (process, host) = name.strip_prefix("sprint-coordinator ")?.split_once('@')?;
        Some(format!("process {process} on {host}"))
    });
    named.unwrap_or_else(|| "a process that does not name itself".to_owned())
}
