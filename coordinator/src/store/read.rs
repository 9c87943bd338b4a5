//! Reads, on connections of their own: they see what is committed.

use std::collections::BTreeMap;

use sprint_core::change::Change;
use sprint_core::event::{Event, Seq};
use sprint_core::ids::{InvalidId, ItemId, RepoName, TreeId};
use sprint_core::item::Item;
use sprint_core::request::{ChangeFilter, ItemFilter, WorkerFilter};
use sprint_core::time::Timestamp;
use sprint_core::token::Token;
use sprint_core::trial::Trial;
use sprint_core::worker::Worker;

use super::db::Value;
use super::entity::{Entity as _, Key, Stored};
use super::{Store, StoreError};

/// Which events are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFilter {
    /// Those after this one.
    pub since: Seq,
    pub item: Option<ItemId>,
    /// Only those that are part of the audit.
    pub audit: bool,
    pub limit: u32,
}

/// Sequence number, time, kind, repo, item, actor, origin, data.
type EventRow = (i64, i64, String, Option<String>, Option<i64>, String, Option<String>, String);

/// The conditions of a search, with their values in order.
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    const fn new() -> Self {
        Self { sql: String::new(), values: Vec::new() }
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " where " } else { " and " });
        self.sql.push_str(condition);
    }

    fn equal(&mut self, column: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let condition = format!("{column} = ${}", self.values.len());
        self.and(&condition);
    }
}

/// The newest `limit` rows that meet the conditions, oldest first.
fn newest<E: Stored>(conditions: &Conditions, limit: Option<u32>) -> String {
    let (table, key) = (E::TABLE, E::KEY);
    let inner = format!("select body, {key} from {table}{}", conditions.sql);
    match limit {
        None => format!("{inner} order by {key}"),
        Some(limit) => {
            format!("select body, {key} from ({inner} order by {key} desc limit {limit}) as newest order by {key}")
        }
    }
}

impl Store {
    /// The entity with a key, as of the last commit.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or holds something unreadable; so for all reads.
    pub async fn get<K: Key>(&self, key: &K) -> Result<Option<K::Entity>, StoreError> {
        let sql = format!("select body from {} where {} = $1", K::Entity::TABLE, K::Entity::KEY);
        Ok(self.bodies(sql, vec![key.value()]).await?.pop())
    }

    async fn bodies<E: Stored>(&self, sql: String, values: Vec<Value>) -> Result<Vec<E>, StoreError> {
        let rows: Vec<(String,)> = self.pool.fetch(sql, values).await?;
        rows.iter().map(|(body,)| E::decode(body)).collect()
    }

    /// The newest `limit` entities whose columns have these values, or all, in the order of their keys.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn list<E: Stored>(
        &self,
        columns: &[(&'static str, Value)],
        limit: Option<u32>,
    ) -> Result<Vec<E>, StoreError> {
        let mut conditions = Conditions::new();
        for (column, value) in columns {
            conditions.equal(column, value.clone());
        }
        self.found(conditions, limit).await
    }

    async fn found<E: Stored>(&self, conditions: Conditions, limit: Option<u32>) -> Result<Vec<E>, StoreError> {
        let sql = newest::<E>(&conditions, limit);
        let sql = format!("select body from ({sql}) as found");
        self.bodies(sql, conditions.values).await
    }

    /// # Errors
    /// As [`Store::get`].
    pub async fn items(&self, filter: &ItemFilter) -> Result<Vec<Item>, StoreError> {
        let ItemFilter { repo, stages, labels, parent, limit } = filter;
        if !stages.is_empty() && stages.iter().all(|stage| !stage.is_over()) {
            return Ok(self.live().found_items(filter));
        }
        let mut conditions = Conditions::new();
        if let Some(repo) = repo {
            conditions.equal("repo", repo.as_str());
        }
        if let Some(parent) = parent {
            conditions.equal("parent", parent.get());
        }
        if !stages.is_empty() {
            let words = stages.iter().map(|stage| format!("'{stage}'")).collect::<Vec<_>>();
            conditions.and(&format!("stage in ({})", words.join(", ")));
        }
        if labels.is_empty() {
            return self.found(conditions, *limit).await;
        }
        // Labels have no column: which items are the newest with them is seen in their bodies.
        let mut items = self.found::<Item>(conditions, None).await?;
        items.retain(|item| filter.matches(item));
        Ok(filter.newest(items))
    }

    /// # Errors
    /// As [`Store::get`].
    pub async fn workers(&self, filter: &WorkerFilter) -> Result<Vec<Worker>, StoreError> {
        let WorkerFilter { item, outpost, repo, live, limit } = filter;
        let mut conditions = Conditions::new();
        if *live {
            conditions.and("live = 1");
        }
        if let Some(item) = item {
            conditions.equal("item", item.get());
        }
        if let Some(outpost) = outpost {
            conditions.equal("outpost", outpost.as_str());
        }
        if let Some(repo) = repo {
            conditions.equal("repo", repo.as_str());
        }
        self.found(conditions, *limit).await
    }

    /// # Errors
    /// As [`Store::get`].
    pub async fn changes(&self, filter: &ChangeFilter) -> Result<Vec<Change>, StoreError> {
        let ChangeFilter { repo, item, pending, limit } = filter;
        let mut conditions = Conditions::new();
        if *pending {
            conditions.and("pending = 1");
        }
        if let Some(repo) = repo {
            conditions.equal("repo", repo.as_str());
        }
        if let Some(item) = item {
            conditions.equal("item", item.get());
        }
        self.found(conditions, *limit).await
    }

    /// The trials of a repo, newest last.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn trials(&self, repo: &RepoName, limit: Option<u32>) -> Result<Vec<Trial>, StoreError> {
        self.list(&[("repo", repo.as_str().into())], limit).await
    }

    /// The trials of a repo that gated a tree, newest last.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn trials_of_tree(&self, repo: &RepoName, tree: &TreeId) -> Result<Vec<Trial>, StoreError> {
        let all: Vec<Trial> =
            self.list(&[("repo", repo.as_str().into()), ("tree", tree.as_str().into())], None).await?;
        let since = self.since(repo);
        Ok(all.into_iter().filter(|trial| trial.created_at >= since).collect())
    }

    /// The newest changes of a repo that landed, or left the queue without it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn settled_changes(&self, repo: &RepoName, limit: u32) -> Result<Vec<Change>, StoreError> {
        let mut conditions = Conditions::new();
        conditions.and("pending = 0");
        conditions.equal("repo", repo.as_str());
        let found: Vec<Change> = self.found(conditions, Some(limit)).await?;
        let since = self.since(repo);
        Ok(found.into_iter().filter(|change| change.created_at >= since).collect())
    }

    /// Since when a repo is on record: what is older is of another one that had its name.
    fn since(&self, repo: &RepoName) -> Timestamp {
        self.live().repo(repo).map_or_else(Timestamp::default, |repo| repo.created_at)
    }

    /// All tokens, the oldest first.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens: Vec<Token> = self.bodies("select body from tokens".to_owned(), vec![]).await?;
        tokens.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(tokens)
    }

    /// The events that a filter asks for, in order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<Event>, StoreError> {
        let EventFilter { since, item, audit, limit } = filter;
        let mut values = vec![since.get().into()];
        let mut more = String::new();
        if let Some(item) = item {
            values.push(item.get().into());
            more.push_str(" and item = $2");
        }
        if audit {
            more.push_str(" and origin is not null");
        }
        let sql = format!(
            "select seq, time_ms, kind, repo, item, actor, origin, data from events
            where seq > $1{more} order by seq limit {limit}"
        );
        self.read_events(sql, values).await
    }

    /// What happened to the changes and trials of a repo since a time, in order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn queue_events(&self, repo: &RepoName, since: Timestamp) -> Result<Vec<Event>, StoreError> {
        let sql = "select seq, time_ms, kind, repo, item, actor, origin, data from events
            where repo = $1 and time_ms >= $2 and (kind like 'trial_%' or kind like 'change_%')
            order by seq limit 100000";
        self.read_events(sql.to_owned(), vec![repo.as_str().into(), since.as_millis().into()]).await
    }

    async fn read_events(&self, sql: String, values: Vec<Value>) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<EventRow> = self.pool.fetch(sql, values).await?;
        rows.into_iter()
            .map(|(seq, time, kind, repo, item, actor, origin, data)| {
                Ok(Event {
                    seq: Seq::new(u64::try_from(seq).unwrap_or(0)),
                    time: Timestamp::from_millis(time),
                    kind: kind.parse().map_err(|error: InvalidId| StoreError::corrupt("events", error))?,
                    repo: repo.and_then(|name| name.parse().ok()),
                    item: item.and_then(|id| u64::try_from(id).ok()).map(ItemId::new),
                    actor,
                    origin,
                    data: serde_json::from_str(&data)
                        .map_err(|error| StoreError::Corrupt { table: "events", error })?,
                })
            })
            .collect()
    }

    /// How many rows of `workers` and `changes` are in each state.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn counts(&self) -> Result<[BTreeMap<String, u64>; 2], StoreError> {
        let mut counts = [BTreeMap::new(), BTreeMap::new()];
        let tables = [("workers", "state"), ("changes", "state")];
        for (count, (table, column)) in counts.iter_mut().zip(tables) {
            let sql = format!("select {column}, count(*) from {table} group by {column}");
            let rows: Vec<(String, i64)> = self.pool.fetch(sql, vec![]).await?;
            *count = rows.into_iter().map(|(word, count)| (word, u64::try_from(count).unwrap_or(0))).collect();
        }
        Ok(counts)
    }
}
