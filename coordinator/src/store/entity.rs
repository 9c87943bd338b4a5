//! What the store asks of an entity: its key, the columns it is searched by, and its JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::db::Value;
use super::entities::Slots;
use super::error::StoreError;

/// An entity's rows as they are in memory; none stands for "removed".
pub(crate) type Rows<E> = HashMap<<E as Entity>::Key, Option<Arc<E>>>;

/// The key of an entity: `tx.get(&id)` knows what it answers.
pub trait Key: Clone + Eq + Hash + Ord + Send + Sync + 'static {
    type Entity: Stored<Key = Self>;

    fn value(&self) -> Value;
}

/// A key that the store gives out itself: 1, 2, 3, …
pub trait Numbered: Key {
    fn of(number: u64) -> Self;
}

/// Something that has a table.
pub trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    type Key: Key<Entity = Self>;

    /// The key's column.
    const KEY: &'static str;
    /// The columns beside the key and `body`.
    const COLUMNS: &'static [&'static str];
    /// The column that holds the name of its machine's state, where it has a machine.
    const STATE: Option<&'static str> = None;
    /// The rows that are kept in memory for as long as they meet this; none for an entity of which none is.
    const LIVE: Option<&'static str> = None;
    /// Whether the store numbers its keys.
    const NUMBERED: bool = false;

    /// Brings what an earlier version wrote to today's form.
    fn upcast(_: &mut serde_json::Value) {}

    fn key(&self) -> Self::Key;
    /// In the order of [`Self::COLUMNS`].
    fn columns(&self) -> Vec<Value>;
}

/// An entity with a place in the list of all: see `entities.rs`.
pub trait Stored: Entity {
    const TABLE: &'static str;

    /// Its rows among those of all entities.
    fn rows(slots: &Slots) -> &Rows<Self>;
    fn rows_mut(slots: &mut Slots) -> &mut Rows<Self>;

    fn decode(body: &str) -> Result<Self, StoreError> {
        let upcast = |error| {
            // Of an earlier version, unless it is of none.
            let mut value = serde_json::from_str(body).map_err(|_| error)?;
            Self::upcast(&mut value);
            serde_json::from_value(value)
        };
        serde_json::from_str(body).or_else(upcast).map_err(|error| StoreError::Corrupt { table: Self::TABLE, error })
    }

    /// The row's values: key, columns, body.
    fn values(&self) -> Result<Vec<Value>, StoreError> {
        let body = serde_json::to_string(self).map_err(|error| StoreError::Corrupt { table: Self::TABLE, error })?;
        let mut values = vec![self.key().value()];
        values.extend(self.columns());
        values.push(body.into());
        Ok(values)
    }

    /// The statement that inserts or replaces `rows` rows.
    fn upsert(rows: usize) -> String {
        let mut sql = insert(Self::TABLE, &[&[Self::KEY], Self::COLUMNS, &["body"]].concat(), rows);
        let _ = write!(sql, " on conflict ({}) do update set body = excluded.body", Self::KEY);
        for column in Self::COLUMNS {
            let _ = write!(sql, ", {column} = excluded.{column}");
        }
        sql
    }
}

/// `insert into … values ($1, …), …` for `rows` rows.
pub(crate) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let mut sql = format!("insert into {table} ({}) values ", columns.join(", "));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns.len() {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * columns.len() + column + 1);
        }
        sql.push(')');
    }
    sql
}
