//! The entities, and how each is kept: its key, the columns that it is searched by, what of it is live, and its JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprint_core::change::Change;
use sprint_core::hand_off::{HandOff, HandOffId};
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, TrialId, WorkerId};
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::refusal::Noun;
use sprint_core::repo::Repo;
use sprint_core::secret::{Secret, SecretId};
use sprint_core::token::{Token, TokenId};
use sprint_core::trial::Trial;
use sprint_core::upcast;
use sprint_core::worker::Worker;

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
pub trait Entity: Noun + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
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

/// The entities, each declared once, in the order in which their tables are written: the table, the entity, and its
/// key, which is a name or numbered by the store. Gives the list to a macro.
macro_rules! each_entity {
    ($made:ident) => {
        $made! {
            repos: sprint_core::repo::Repo, named sprint_core::ids::RepoName;
            items: sprint_core::item::Item, numbered sprint_core::ids::ItemId;
            workers: sprint_core::worker::Worker, numbered sprint_core::ids::WorkerId;
            changes: sprint_core::change::Change, numbered sprint_core::ids::ChangeId;
            trials: sprint_core::trial::Trial, numbered sprint_core::ids::TrialId;
            outposts: sprint_core::outpost::Outpost, named sprint_core::ids::OutpostName;
            hand_offs: sprint_core::hand_off::HandOff, named sprint_core::hand_off::HandOffId;
            secrets: sprint_core::secret::Secret, named sprint_core::secret::SecretId;
            tokens: sprint_core::token::Token, named sprint_core::token::TokenId;
        }
    };
}

pub(crate) use each_entity;

/// Makes a key of an identifier.
macro_rules! key {
    (named $key:ty => $entity:ty) => {
        impl Key for $key {
            type Entity = $entity;

            fn value(&self) -> Value {
                self.as_str().into()
            }
        }
    };
    (numbered $key:ty => $entity:ty) => {
        impl Key for $key {
            type Entity = $entity;
            const NUMBERED: bool = true;

            fn value(&self) -> Value {
                self.get().into()
            }
        }

        impl Numbered for $key {
            fn of(number: u64) -> Self {
                Self::new(number)
            }
        }
    };
}

/// Makes of the list: the keys, and the rows of all in memory.
macro_rules! slots {
    ($($table:ident: $entity:ty, $by:ident $key:ty;)+) => {
        $(key!($by $key => $entity);)+

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
    };
}

each_entity!(slots);

impl Entity for Repo {
    type Key = RepoName;
    const KEY: &'static str = "name";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> RepoName {
        self.name.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}

impl Entity for Item {
    type Key = ItemId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "kind", "stage", "parent"];
    const STATE: Option<&'static str> = Some("stage");
    const LIVE: Option<&'static str> = Some("stage not in ('done', 'cancelled')");

    fn key(&self) -> ItemId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.kind.as_str().into(),
            self.stage.name().as_str().into(),
            self.parent.map_or(Value::Int(None), |parent| parent.get().into()),
        ]
    }
}

impl Entity for Worker {
    type Key = WorkerId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["item", "repo", "role", "outpost", "state", "live"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("live = 1");

    fn key(&self) -> WorkerId {
        self.id
    }

    fn upcast(body: &mut serde_json::Value) {
        upcast::job(body);
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.job.item().map_or(Value::Int(None), |item| item.get().into()),
            self.repo.as_str().into(),
            self.job.role().as_str().into(),
            self.outpost.as_str().into(),
            self.state.name().as_str().into(),
            self.state.is_live().into(),
        ]
    }
}

impl Entity for Change {
    type Key = ChangeId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "item", "state", "pending"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("pending = 1");

    fn key(&self) -> ChangeId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.item.get().into(),
            self.state.name().as_str().into(),
            self.state.is_pending().into(),
        ]
    }
}

impl Entity for Trial {
    type Key = TrialId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "tree", "state", "retired"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("retired = 0");

    fn key(&self) -> TrialId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.candidate.tree.as_str().into(),
            self.state.name().as_str().into(),
            self.retired.into(),
        ]
    }
}

impl Entity for Outpost {
    type Key = OutpostName;
    const KEY: &'static str = "name";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> OutpostName {
        self.name.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}

impl Entity for HandOff {
    type Key = HandOffId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["item", "attempt"];

    fn key(&self) -> HandOffId {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.item.get().into(), u64::from(self.attempt.get()).into()]
    }
}

impl Entity for Secret {
    type Key = SecretId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> SecretId {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}

impl Entity for Token {
    type Key = TokenId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> TokenId {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}
