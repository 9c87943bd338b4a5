//! The record: the only place with SQL.
//!
//! All changes go through one writer (`writer.rs`), which commits many waiting
//! transactions with one fsync; reads use connections of their own.

mod check;
mod db;
mod directory;
mod entity;
mod notice;
mod read;
mod restore;
mod tx;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Time;
use futures::future::BoxFuture;
use thiserror::Error;

pub use directory::Directory;
pub use notice::{Notice, Notices};
pub use read::{ChangeFilter, EventFilter, InQueue, ItemFilter, WorkerFilter};
pub use tx::Tx;

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database could not be brought up to date: {0}")]
    Migration(sqlx::migrate::MigrateError),
    #[error(
        "the database is newer than this coordinator: it has migration {version}, which this binary does not know; start the newer coordinator, or restore a backup made before the upgrade"
    )]
    TooNew { version: i64 },
    #[error("another coordinator uses this database; stop that one first, or name another with --database-url")]
    InUse,
    #[error("a row of {table} cannot be read: {error}")]
    Corrupt { table: &'static str, error: serde_json::Error },
    #[error("the change could not be made durable, and was not made: {0}")]
    CommitFailed(String),
    #[error("the database is not empty; restore into one that nothing was ever kept in")]
    NotEmpty,
    #[error("the coordinator is shutting down")]
    Closed,
}

/// Where the record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
}

/// The record.
pub struct Store {
    writer: Mutex<Option<writer::Writer>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    pool: db::Pool,
    notices: Arc<Notices>,
    directory: Arc<Directory>,
    time: Arc<Time>,
}

impl Store {
    /// Opens the record, bringing its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::TooNew`] when a newer coordinator wrote it, [`StoreError::InUse`] when
    /// another one holds it, otherwise what the database says.
    pub async fn open(location: Location<'_>) -> Result<Self, StoreError> {
        Self::open_with(location, Arc::new(Time::of_this_host())).await
    }

    /// As [`Store::open`], with a time of one's own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(location: Location<'_>, time: Arc<Time>) -> Result<Self, StoreError> {
        let (connection, pool) = match location {
            Location::Sqlite(path) => db::open_sqlite(path).await?,
            Location::Postgres(url) => db::open_postgres(url).await?,
        };
        let directory = Arc::new(Directory::default());
        let tx = Tx::new(connection, Arc::clone(&directory)).await?;
        time.at_least(tx.now());
        let notices = Arc::new(Notices::new(tx.last_seq()));
        let (writer, task) = writer::Writer::start(tx, Arc::clone(&notices), Arc::clone(&time));
        Ok(Self { writer: Mutex::new(Some(writer)), task: Mutex::new(Some(task)), pool, notices, directory, time })
    }

    /// The time that the record is kept in.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// Which database this is.
    pub const fn kind(&self) -> &'static str {
        match self.pool {
            db::Pool::Sqlite(_) => "sqlite",
            db::Pool::Postgres(_) => "postgres",
        }
    }

    /// The bells that commits ring.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Who is known, as of the last commit.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Runs `job` in a transaction and answers when its outcome is durable.
    ///
    /// A job that returns an error changes nothing. Jobs run one after another; a job
    /// must not wait for anything but its transaction.
    ///
    /// # Errors
    /// The job's own, or [`StoreError`] when it could not be made durable.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writer.ok_or(StoreError::Closed)?.write(job).await
    }

    /// Finishes what waits, and closes the database.
    pub async fn close(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer ended badly");
        }
        self.pool.close().await;
    }
}
