//! Why a database did not do what it was asked.

use thiserror::Error;

/// What either database says.
#[derive(Debug, Error)]
pub enum DatabaseError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Postgres(#[from] sqlx::Error),
    #[error("the thread that drives SQLite has ended")]
    Gone,
}

impl DatabaseError {
    /// Whether the connection is lost: what was under way may or may not have been made.
    pub(crate) fn is_disconnected(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Gone => true,
            Self::Postgres(sqlx::Error::Database(error)) => {
                // Class 57: an administrator, a crash or a start of the server ended the session.
                error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
            }
            Self::Postgres(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            ),
        }
    }
}
