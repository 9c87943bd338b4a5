//! SQLite, driven from threads of our own: a batch is one trip to the thread, whatever it holds.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::READERS;
use super::failure::DatabaseError;
use super::migrations::migrate_sqlite;
use super::value::{Shape, Statement, Value};
use crate::store::error::StoreError;

/// Work that waits for the thread; the writer sends one piece at a time.
const QUEUE: usize = 4;

/// Prepared statements that are kept: each table's upsert for each power of two of rows, and the searches.
const STATEMENTS: usize = 256;

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Int(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// The writer's connection, held by its thread.
pub(crate) struct Writer {
    work: mpsc::Sender<Work>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Runs `work` on the thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let _ = sender.send(work(connection));
        });
        self.work.send(work).await.map_err(|_| DatabaseError::Gone)?;
        receiver.await.map_err(|_| DatabaseError::Gone)?
    }

    /// Executes statements in order; stops at the first that fails.
    pub(crate) async fn execute(&self, statements: Vec<Statement>) -> Result<(), DatabaseError> {
        self.run(move |connection| {
            for Statement { sql, values } in &statements {
                connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn fetch<T: Shape>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError> {
        self.run(move |connection| fetch(connection, &statement)).await
    }

    /// Answers when the database is closed.
    pub(crate) async fn close(self) {
        drop(self.work);
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the thread that drives SQLite ended badly");
        }
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
    let (mut writer, readers) = opened.await.map_err(|_| StoreError::Closed)??;
    let (work, mut queue) = mpsc::channel::<Work>(QUEUE);
    let thread = std::thread::Builder::new()
        .name("record".to_owned())
        .spawn(move || {
            while let Some(work) = queue.blocking_recv() {
                work(&mut writer);
            }
            if let Err((_, error)) = writer.close() {
                tracing::warn!(%error, "the database did not close cleanly");
            }
        })
        .map_err(StoreError::Thread)?;
    let free = Arc::new(Semaphore::new(readers.len()));
    Ok((Writer { work, thread }, Readers { idle: Arc::new(Mutex::new(readers)), free }))
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch("pragma foreign_keys = on;")
}
