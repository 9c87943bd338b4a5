//! The readers of either database.

use super::value::{Shape, Statement, Value};
use super::{postgres, sqlite};
use crate::store::error::StoreError;

/// The readers' connections.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(sqlite::Readers),
    Postgres(postgres::Readers),
}

impl Pool {
    pub(crate) async fn fetch<T: Shape>(&self, sql: String, values: Vec<Value>) -> Result<Vec<T>, StoreError> {
        let statement = Statement { sql, values };
        Ok(match self {
            Self::Sqlite(readers) => readers.fetch(statement).await?,
            Self::Postgres(readers) => readers.fetch(statement).await?,
        })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(readers) => readers.close(),
            Self::Postgres(readers) => readers.close().await,
        }
    }
}
