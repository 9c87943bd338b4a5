//! The record's handle: its writer, its readers, and what is live in memory.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::clock::Time;
use crate::store::db;
use crate::store::error::StoreError;
use crate::store::live::Live;
use crate::store::notice::Notices;
use crate::store::tx::Tx;
use crate::store::writer;

/// Where the record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
}

/// The record.
pub struct Store {
    writer: Mutex<Option<writer::Writer>>,
    end: Mutex<Option<oneshot::Receiver<()>>>,
    pub(crate) pool: db::Pool,
    notices: Arc<Notices>,
    live: Arc<Live>,
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

    /// As [`Store::open`], with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(location: Location<'_>, time: Arc<Time>) -> Result<Self, StoreError> {
        let (connection, pool) = match location {
            Location::Sqlite(path) => db::open_sqlite(path).await?,
            Location::Postgres(url) => db::open_postgres(url).await?,
        };
        let live = Arc::new(Live::default());
        let tx = Tx::new(connection, Arc::clone(&live)).await?;
        time.at_least(tx.now());
        let notices = Arc::new(Notices::new(tx.last_seq()));
        let (writer, end) =
            writer::Writer::start(tx, Arc::clone(&notices), Arc::clone(&time)).map_err(StoreError::Thread)?;
        Ok(Self { writer: Mutex::new(Some(writer)), end: Mutex::new(Some(end)), pool, notices, live, time })
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

    /// The subscribers that commits wake.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// The live rows, as of the last commit.
    pub fn live(&self) -> &Live {
        &self.live
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
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(end) = end
            && end.await.is_err()
        {
            tracing::error!("the writer's thread ended badly");
        }
        self.pool.close().await;
    }
}
