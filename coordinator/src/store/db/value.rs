//! The parameters of statements and the columns of rows, on either database.

use rusqlite::types::FromSql;
use sqlx::FromRow;
use sqlx::postgres::PgRow;

/// A value that a statement is given.
#[derive(Debug, Clone)]
pub enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int(Some(i64::from(truth)))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

/// A statement with its values, in order.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values }
    }
}

/// Rows of one table that are written: as the database takes them soonest, each by itself or many at once.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) table: &'static str,
    /// The statement that writes this number of rows.
    pub(crate) statement: fn(usize) -> String,
    pub(crate) values: Vec<Vec<Value>>,
}

/// A part of what a transaction writes.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Statement(Statement),
    Rows(Rows),
}

impl Write {
    pub(crate) fn statement(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self::Statement(Statement::new(sql, values))
    }
}

/// A row shape that both databases can give: a tuple of columns.
pub(crate) trait Shape: for<'r> FromRow<'r, PgRow> + Send + Unpin + Sized + 'static {
    /// # Errors
    /// When a column is not of its type.
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self>;
}

macro_rules! shapes {
    ($(($($column:ident: $place:literal),+)),+ $(,)?) => {
        $(impl<$($column),+> Shape for ($($column,)+)
        where
            $($column: FromSql + Send + Unpin + 'static,)+
            Self: for<'r> FromRow<'r, PgRow>,
        {
            fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                Ok(($(row.get::<_, $column>($place)?,)+))
            }
        })+
    };
}

shapes!(
    (A: 0),
    (A: 0, B: 1),
    (A: 0, B: 1, C: 2, D: 3),
    (A: 0, B: 1, C: 2, D: 3, E: 4, F: 5, G: 6, H: 7),
);
