//! What the store asks of an entity: its key, the columns it is searched by, and its JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::db::Value;
use super::error::StoreError;

/// A size in bytes that most bodies fit into.
const BODY: usize = 1024;

/// An entity's rows as they are in memory; none stands for "removed".
pub(crate) type Rows<E> = HashMap<<E as Entity>::Key, Option<Arc<E>>>;

/// The key of an entity: `tx.get(&id)` knows what it answers.
pub trait Key: Clone + Eq + Hash + Ord + Send + Sync + 'static {
    type Entity: Stored<Key = Self>;
    /// Whether the store gives it out; see [`Numbered`].
    const NUMBERED: bool = false;

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

    /// Brings what an earlier version wrote to today's form.
    fn upcast(_: &mut serde_json::Value) {}

    fn key(&self) -> Self::Key;
    /// In the order of [`Self::COLUMNS`].
    fn columns(&self) -> Vec<Value>;
}

/// An entity with a place in the list of all.
pub trait Stored: Entity {
    const TABLE: &'static str;

    /// Its rows among those of all entities.
    fn rows(slots: &Slots) -> &Rows<Self>;
    fn rows_mut(slots: &mut Slots) -> &mut Rows<Self>;

    /// Reads a body, also of an earlier version.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
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
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    fn values(&self) -> Result<Vec<Value>, StoreError> {
        let mut body = Vec::with_capacity(BODY);
        serde_json::to_writer(&mut body, self).map_err(|error| StoreError::Corrupt { table: Self::TABLE, error })?;
        let body = String::from_utf8(body).map_err(|error| StoreError::corrupt(Self::TABLE, error))?;
        let mut values = Vec::with_capacity(Self::COLUMNS.len() + 2);
        values.push(self.key().value());
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

/// The entities, each declared once, in the order in which their tables are written: gives the list to a macro.
macro_rules! each_entity {
    ($made:ident) => {
        $made! {
            repos: sprint_core::repo::Repo,
            items: sprint_core::item::Item,
            workers: sprint_core::worker::Worker,
            changes: sprint_core::change::Change,
            trials: sprint_core::trial::Trial,
            outposts: sprint_core::outpost::Outpost,
            tokens: sprint_core::token::Token,
        }
    };
}

pub(crate) use each_entity;

/// Makes of the list: the rows of all in memory, the tables, and the whole record.
macro_rules! slots {
    ($($table:ident: $entity:ty),+ $(,)?) => {
        /// The rows of every entity.
        #[derive(Default)]
        pub struct Slots {
            $($table: Rows<$entity>),+
        }

        impl Slots {
            /// Takes all rows of `newer` over these.
            pub(crate) fn absorb(&mut self, newer: Self) {
                $(self.$table.extend(newer.$table);)+
            }

            /// Shares the rows.
            pub(crate) fn share(&self) -> Self {
                Self { $($table: self.$table.clone()),+ }
            }

            pub(crate) fn len(&self) -> usize {
                0 $(+ self.$table.len())+
            }
        }

        $(impl Stored for $entity {
            const TABLE: &'static str = stringify!($table);

            fn rows(slots: &Slots) -> &Rows<Self> {
                &slots.$table
            }

            fn rows_mut(slots: &mut Slots) -> &mut Rows<Self> {
                &mut slots.$table
            }
        })+

        /// What the store knows of every table.
        pub(crate) const TABLES: &[Table] = &[$(Table::of::<$entity>()),+];

        /// Every entity on record.
        #[derive(Debug, Default)]
        pub struct Everything {
            $(pub $table: Vec<$entity>),+
        }

        impl Everything {
            /// Each table with its entities as JSON, one on a line.
            ///
            /// # Errors
            /// [`StoreError::Corrupt`].
            pub fn lines(&self) -> Result<Vec<(&'static str, Vec<u8>)>, StoreError> {
                Ok(vec![$((stringify!($table), lines_of(&self.$table)?)),+])
            }

            /// Takes a table's lines in; says whether there is such a table.
            ///
            /// # Errors
            /// [`StoreError::Corrupt`] for a line that is no entity of the table.
            pub fn take_lines(&mut self, table: &str, lines: impl std::io::Read) -> Result<bool, StoreError> {
                match table {
                    $(stringify!($table) => self.$table = entities_of(lines)?,)+
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }

        impl Everything {
            /// The last number of each numbered table.
            pub(super) fn last_numbers(&self) -> std::collections::BTreeMap<&'static str, u64> {
                let mut last = std::collections::BTreeMap::new();
                $(last.insert(stringify!($table), self.$table.iter().filter_map(number_of).max().unwrap_or(0));)+
                last
            }
        }
    };
}

each_entity!(slots);

/// A table without the type of its entity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) numbered: bool,
}

impl Table {
    const fn of<E: Stored>() -> Self {
        Self { name: E::TABLE, key: E::KEY, numbered: E::Key::NUMBERED }
    }
}

/// The number of an entity, if it is numbered.
fn number_of<E: Stored>(entity: &E) -> Option<u64> {
    match entity.key().value() {
        Value::Int(Some(number)) => u64::try_from(number).ok(),
        Value::Int(None) | Value::Text(_) => None,
    }
}

fn lines_of<E: Stored>(entities: &[E]) -> Result<Vec<u8>, StoreError> {
    let mut content = Vec::new();
    for entity in entities {
        serde_json::to_writer(&mut content, entity).map_err(|error| StoreError::Corrupt { table: E::TABLE, error })?;
        content.push(b'\n');
    }
    Ok(content)
}

fn entities_of<E: Stored>(lines: impl std::io::Read) -> Result<Vec<E>, StoreError> {
    let bodies = serde_json::Deserializer::from_reader(lines).into_iter::<serde_json::Value>();
    bodies
        .map(|body| {
            let mut body = body?;
            E::upcast(&mut body);
            serde_json::from_value(body)
        })
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::Corrupt { table: E::TABLE, error })
}
