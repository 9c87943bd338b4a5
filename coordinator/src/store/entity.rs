//! How each entity is kept as a row: its key, the columns it is searched by, and its JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprint_core::change::Change;
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, TokenId, TrialId, WorkerId};
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::schedule::urgency;
use sprint_core::token::Token;
use sprint_core::trial::Trial;
use sprint_core::worker::Worker;

use super::StoreError;
use super::db::Value;

/// An entity's rows as they are in memory; none stands for "removed".
pub(crate) type Rows<E> = HashMap<<E as Entity>::Key, Option<E>>;

/// Something that has a table.
pub(crate) trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    type Key: Clone + Eq + Hash + Send + Sync + 'static;

    const TABLE: &'static str;
    /// The key's column.
    const KEY: &'static str;
    /// The columns beside the key and `body`.
    const COLUMNS: &'static [&'static str];

    fn key(&self) -> Self::Key;
    fn key_value(key: &Self::Key) -> Value;
    /// In the order of [`Self::COLUMNS`].
    fn columns(&self) -> Vec<Value>;
    /// Its rows among those of all entities.
    fn rows(slots: &mut Slots) -> &mut Rows<Self>;

    fn decode(body: &str) -> Result<Self, StoreError> {
        serde_json::from_str(body).map_err(|error| StoreError::Corrupt { table: Self::TABLE, error })
    }

    /// The row's values: key, columns, body.
    fn values(&self) -> Result<Vec<Value>, StoreError> {
        let body = serde_json::to_string(self).map_err(|error| StoreError::Corrupt { table: Self::TABLE, error })?;
        let mut values = vec![Self::key_value(&self.key())];
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

/// The rows of every entity.
#[derive(Default)]
pub(crate) struct Slots {
    repos: Rows<Repo>,
    items: Rows<Item>,
    workers: Rows<Worker>,
    changes: Rows<Change>,
    trials: Rows<Trial>,
    outposts: Rows<Outpost>,
    tokens: Rows<Token>,
}

impl Slots {
    /// Takes all rows of `newer` over these.
    pub(crate) fn absorb(&mut self, newer: Self) {
        self.repos.extend(newer.repos);
        self.items.extend(newer.items);
        self.workers.extend(newer.workers);
        self.changes.extend(newer.changes);
        self.trials.extend(newer.trials);
        self.outposts.extend(newer.outposts);
        self.tokens.extend(newer.tokens);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.repos.len()
            + self.items.len()
            + self.workers.len()
            + self.changes.len()
            + self.trials.len()
            + self.outposts.len()
            + self.tokens.len()
    }
}

impl Entity for Repo {
    type Key = RepoName;
    const TABLE: &'static str = "repos";
    const KEY: &'static str = "name";
    const COLUMNS: &'static [&'static str] = &[];

    fn key(&self) -> RepoName {
        self.name.clone()
    }

    fn key_value(key: &RepoName) -> Value {
        key.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.repos
    }
}

impl Entity for Item {
    type Key = ItemId;
    const TABLE: &'static str = "items";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "kind", "stage", "parent", "urgency"];

    fn key(&self) -> ItemId {
        self.id
    }

    fn key_value(key: &ItemId) -> Value {
        key.get().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.kind.as_str().into(),
            self.stage.name().as_str().into(),
            self.parent.map_or(Value::Int(None), |parent| parent.get().into()),
            urgency(self.priority, self.created_at).into(),
        ]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.items
    }
}

impl Entity for Worker {
    type Key = WorkerId;
    const TABLE: &'static str = "workers";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["item", "repo", "role", "outpost", "state", "live"];

    fn key(&self) -> WorkerId {
        self.id
    }

    fn key_value(key: &WorkerId) -> Value {
        key.get().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.item.get().into(),
            self.repo.as_str().into(),
            self.role.as_str().into(),
            self.outpost.as_str().into(),
            self.state.name().as_str().into(),
            self.state.is_live().into(),
        ]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.workers
    }
}

impl Entity for Change {
    type Key = ChangeId;
    const TABLE: &'static str = "changes";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "item", "state", "pending"];

    fn key(&self) -> ChangeId {
        self.id
    }

    fn key_value(key: &ChangeId) -> Value {
        key.get().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.item.get().into(),
            self.state.name().as_str().into(),
            self.state.is_pending().into(),
        ]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.changes
    }
}

impl Entity for Trial {
    type Key = TrialId;
    const TABLE: &'static str = "trials";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "tree", "state", "retired"];

    fn key(&self) -> TrialId {
        self.id
    }

    fn key_value(key: &TrialId) -> Value {
        key.get().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.candidate.tree.as_str().into(),
            self.state.name().as_str().into(),
            self.retired.into(),
        ]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.trials
    }
}

impl Entity for Outpost {
    type Key = OutpostName;
    const TABLE: &'static str = "outposts";
    const KEY: &'static str = "name";
    const COLUMNS: &'static [&'static str] = &[];

    fn key(&self) -> OutpostName {
        self.name.clone()
    }

    fn key_value(key: &OutpostName) -> Value {
        key.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.outposts
    }
}

impl Entity for Token {
    type Key = TokenId;
    const TABLE: &'static str = "tokens";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &[];

    fn key(&self) -> TokenId {
        self.id.clone()
    }

    fn key_value(key: &TokenId) -> Value {
        key.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }

    fn rows(slots: &mut Slots) -> &mut Rows<Self> {
        &mut slots.tokens
    }
}
