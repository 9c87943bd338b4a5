//! Why the store did not do what it was asked.

use thiserror::Error;

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
