//! SQLite: the writer's connection on the writer's thread or a lone caller's, the readers' on threads that may block.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};
use tokio::sync::Semaphore;

use super::READERS;
use super::failure::DatabaseError;
use super::migrations::migrate_sqlite;
use super::value::{Rows, Shape, Statement, Value, Write};
use crate::store::error::StoreError;

/// Prepared statements that are kept: each table's upsert, and the searches.
const STATEMENTS: usize = 128;

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Int(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

/// The writer's connection; it blocks the thread that writes and no other.
pub(crate) struct Writer {
    connection: Connection,
    /// The statement that writes one row, by table.
    of_one_row: HashMap<&'static str, String>,
}

impl Writer {
    /// Writes in order; stops at the first that fails. Each row has a statement of its own: in this process
    /// that costs less than one statement of many rows, which SQLite must be able to take back half-made.
    pub(crate) fn execute(&mut self, writes: &[Write]) -> Result<(), DatabaseError> {
        for write in writes {
            match write {
                Write::Statement(Statement { sql, values }) => {
                    self.connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
                }
                Write::Rows(Rows { table, statement, values }) => {
                    let sql = self.of_one_row.entry(table).or_insert_with(|| statement(1));
                    let mut prepared = self.connection.prepare_cached(sql)?;
                    for row in values {
                        prepared.execute(params_from_iter(row))?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn fetch<T: Shape>(&self, statement: &Statement) -> Result<Vec<T>, DatabaseError> {
        fetch(&self.connection, statement)
    }

    pub(crate) fn close(self) -> Result<(), DatabaseError> {
        Ok(self.connection.close().map_err(|(_, error)| error)?)
    }
}

fn fetch<T: Shape>(connection: &Connection, Statement { sql, values }: &Statement) -> Result<Vec<T>, DatabaseError> {
    let mut query = connection.prepare_cached(sql)?;
    let rows = query.query_map(params_from_iter(values), |row| T::read(row))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The readers' connections: as many reads run at a time.
#[derive(Clone)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(crate) async fn fetch<T: Shape>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| DatabaseError::Gone)?;
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = taken.ok_or(DatabaseError::Gone)?;
            let rows = fetch(&connection, &statement);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            rows
        });
        read.await.map_err(|_| DatabaseError::Gone)?
    }

    pub(crate) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Opens the embedded database, migrates it, and gives a writer and its readers.
pub(crate) async fn open(path: &Path) -> Result<(Writer, Readers), StoreError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let mut writer = Connection::open(&path).map_err(DatabaseError::from)?;
        prepare(&writer).map_err(DatabaseError::from)?;
        writer.execute_batch("pragma journal_mode = wal; pragma synchronous = full;").map_err(DatabaseError::from)?;
        migrate_sqlite(&mut writer)?;
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(&path, flags).map_err(DatabaseError::from)?;
            prepare(&reader).map_err(DatabaseError::from)?;
            readers.push(reader);
        }
        Ok::<_, StoreError>((writer, readers))
    });
    let (connection, readers) = opened.await.map_err(|_| StoreError::Closed)??;
    let free = Arc::new(Semaphore::new(readers.len()));
    Ok((Writer { connection, of_one_row: HashMap::new() }, Readers { idle: Arc::new(Mutex::new(readers)), free }))
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch("pragma foreign_keys = on; pragma temp_store = memory;")
}
