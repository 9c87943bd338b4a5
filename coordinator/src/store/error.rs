//! Why the store did not do what it was asked.

use thiserror::Error;

use super::db::DatabaseError;

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Database(#[from] DatabaseError),
    #[error("the database could not be brought up to date: {0}")]
    Migration(String),
    #[error(
        "the database is newer than this coordinator: it has migration {version}, which this binary does not know; start the newer coordinator, or restore a backup made before the upgrade"
    )]
    TooNew { version: i64 },
    #[error(
        "another coordinator uses this database: {holder}; stop that one first, or name another database with --database-url"
    )]
    InUse { holder: String },
    #[error("a row of {table} cannot be read: {error}")]
    Corrupt { table: &'static str, error: serde_json::Error },
    /// Nothing of it was made.
    #[error("the change was not made: it could not be made durable: {0}; try again")]
    CommitFailed(String),
    /// The database is away; nothing of it was made.
    #[error("the change was not made: the database cannot be reached: {0}; try again in a moment")]
    Unavailable(String),
    /// The connection broke between the order to commit and its answer.
    #[error(
        "whether the change was made is unknown: the connection to the database broke while it was made durable: {0}; look before you try again"
    )]
    Unknown(String),
    #[error("the database is not empty; restore into an empty one")]
    NotEmpty,
    #[error("the thread for the database cannot be started: {0}")]
    Thread(std::io::Error),
    #[error("the coordinator is shutting down")]
    Closed,
}

impl StoreError {
    /// A row that says something that this version does not know.
    pub(crate) fn corrupt(table: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Corrupt { table, error: serde::de::Error::custom(error) }
    }

    /// The same failure for another transaction of the same batch.
    pub(crate) fn of_batch(&self) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            Self::Unknown(why) => Self::Unknown(why.clone()),
            Self::CommitFailed(why) => Self::CommitFailed(why.clone()),
            Self::Database(_)
            | Self::Migration(_)
            | Self::TooNew { .. }
            | Self::InUse { .. }
            | Self::Corrupt { .. }
            | Self::NotEmpty
            | Self::Thread(_)
            | Self::Closed => Self::CommitFailed(self.to_string()),
        }
    }
}
