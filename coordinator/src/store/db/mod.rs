//! One set of SQL for SQLite and PostgreSQL: connections, values and statements.

mod failure;
mod migrations;
mod pool;
mod postgres;
mod sqlite;
mod value;
mod writer;

pub(crate) use failure::DatabaseError;
pub(crate) use pool::Pool;
pub use value::Value;
pub(crate) use value::{Rows, Shape, Statement, Write};
pub(crate) use writer::{Connection, open_postgres, open_sqlite};

/// Readers beside the writer; reads are short, so a few suffice.
const READERS: u32 = 4;
