//! The writer's connection to either database.

use std::path::Path;

use super::failure::DatabaseError;
use super::pool::Pool;
use super::value::{Shape, Statement, Write};
use super::{postgres, sqlite};
use crate::store::error::StoreError;

/// Why a commit failed.
pub(crate) struct CommitFailure {
    pub(crate) error: DatabaseError,
    /// The order to commit was given, and its answer did not come.
    pub(crate) is_unknown: bool,
}

/// The writer's connection.
pub(crate) enum Connection {
    Sqlite(sqlite::Writer),
    Postgres(Box<postgres::Writer>),
}

impl Connection {
    /// Writes in order; stops at the first that fails.
    pub(crate) async fn execute(&mut self, writes: &[Write]) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(connection) => connection.execute(writes),
            Self::Postgres(connection) => connection.execute(writes).await,
        }
    }

    /// Writes, and commits.
    pub(crate) async fn commit(&mut self, writes: &[Write]) -> Result<(), CommitFailure> {
        let commit = [Write::statement("commit", vec![])];
        self.execute(writes).await.map_err(|error| CommitFailure { error, is_unknown: false })?;
        self.execute(&commit).await.map_err(|error| {
            let is_unknown = error.is_disconnected();
            CommitFailure { error, is_unknown }
        })
    }

    pub(crate) async fn fetch<T: Shape>(&mut self, statement: Statement) -> Result<Vec<T>, DatabaseError> {
        match self {
            Self::Sqlite(writer) => writer.fetch(&statement),
            Self::Postgres(writer) => writer.fetch(statement).await,
        }
    }

    /// The statement that begins a transaction.
    pub(crate) fn begin(&self) -> Write {
        let sql = match self {
            Self::Sqlite(_) => "begin immediate",
            Self::Postgres(_) => "begin",
        };
        Write::statement(sql, vec![])
    }

    /// Whether the database is in this process.
    pub(crate) const fn is_embedded(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(_) => false,
        }
    }

    /// Whether the connection holds; a lost one is to be made again before anything else.
    pub(crate) const fn is_connected(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(writer) => writer.is_connected(),
        }
    }

    /// # Errors
    /// As [`postgres::Writer::reconnect`].
    pub(crate) async fn reconnect(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(writer) => writer.reconnect().await,
        }
    }

    pub(crate) async fn close(self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(writer) => writer.close(),
            Self::Postgres(writer) => writer.close().await,
        }
    }
}

/// Opens the embedded database: its writer and its readers.
pub(crate) async fn open_sqlite(path: &Path) -> Result<(Connection, Pool), StoreError> {
    let (writer, readers) = sqlite::open(path).await?;
    Ok((Connection::Sqlite(writer), Pool::Sqlite(readers)))
}

/// Opens a PostgreSQL database: its writer, which holds the coordinator's lock, and its readers.
pub(crate) async fn open_postgres(url: &str) -> Result<(Connection, Pool), StoreError> {
    let (writer, readers) = postgres::open(url).await?;
    Ok((Connection::Postgres(Box::new(writer)), Pool::Postgres(readers)))
}
