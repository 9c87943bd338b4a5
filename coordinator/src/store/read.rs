//! Reads, on connections of their own: they see what is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use sprint_core::bounds::PAGE;
use sprint_core::change::Change;
use sprint_core::event::{Event, Seq};
use sprint_core::ids::{InvalidId, ItemId, OutpostName, RepoName, TreeId};
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

/// What a search found, as far as one answer holds it: the newest, oldest first.
#[derive(Debug)]
pub struct Page<E> {
    pub rows: Vec<E>,
    /// There are older ones.
    pub more: bool,
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
        self.compare(column, "=", value);
    }

    fn equal_if(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.equal(column, value);
        }
    }

    fn before<E: Stored>(&mut self, key: Option<E::Key>) {
        if let Some(key) = key {
            self.compare(E::KEY, "<", key.value());
        }
    }

    fn compare(&mut self, column: &str, how: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let condition = format!("{column} {how} ${}", self.values.len());
        self.and(&condition);
    }
}

/// The conditions of a filter.
impl From<&ItemFilter> for Conditions {
    fn from(filter: &ItemFilter) -> Self {
        // Labels have no column.
        let ItemFilter { repo, stages, labels: _, parent, limit: _, before } = filter;
        let mut conditions = Self::new();
        conditions.equal_if("repo", repo.as_ref().map(RepoName::as_str));
        conditions.equal_if("parent", parent.map(ItemId::get));
        if !stages.is_empty() {
            let words = stages.iter().map(|stage| format!("'{stage}'")).collect::<Vec<_>>();
            conditions.and(&format!("stage in ({})", words.join(", ")));
        }
        conditions.before::<Item>(*before);
        conditions
    }
}

impl From<&WorkerFilter> for Conditions {
    fn from(filter: &WorkerFilter) -> Self {
        let WorkerFilter { item, outpost, repo, live, limit: _, before } = filter;
        let mut conditions = Self::new();
        if *live {
            conditions.and("live = 1");
        }
        conditions.equal_if("item", item.map(ItemId::get));
        conditions.equal_if("outpost", outpost.as_ref().map(OutpostName::as_str));
        conditions.equal_if("repo", repo.as_ref().map(RepoName::as_str));
        conditions.before::<Worker>(*before);
        conditions
    }
}

impl From<&ChangeFilter> for Conditions {
    fn from(filter: &ChangeFilter) -> Self {
        let ChangeFilter { repo, item, pending, limit: _, before } = filter;
        let mut conditions = Self::new();
        if *pending {
            conditions.and("pending = 1");
        }
        conditions.equal_if("repo", repo.as_ref().map(RepoName::as_str));
        conditions.equal_if("item", item.map(ItemId::get));
        conditions.before::<Change>(*before);
        conditions
    }
}

/// The newest `limit` rows that meet the conditions, in no order.
fn newest<E: Stored>(conditions: &Conditions, limit: Option<u32>) -> String {
    let (table, key) = (E::TABLE, E::KEY);
    let limit = limit.map(|limit| format!(" order by {key} desc limit {limit}")).unwrap_or_default();
    format!("select body, {key} from {table}{}{limit}", conditions.sql)
}

/// The newest of them that a page holds, oldest first, each with the number of all. The bodies of others are not read.
fn page<E: Stored>(conditions: &Conditions, limit: Option<u32>) -> String {
    let (table, key) = (E::TABLE, E::KEY);
    let limit = limit.map(|limit| format!(" order by {key} desc limit {limit}")).unwrap_or_default();
    format!(
        "select {table}.body, placed.found from (
            select {key}, count(*) over () as found, sum(size) over newest - size as newer
            from (select {key}, octet_length(body) as size from {table}{}{limit}) as wanted
            window newest as (order by {key} desc)
        ) as placed join {table} on {table}.{key} = placed.{key}
        where placed.newer < {PAGE} order by placed.{key}",
        conditions.sql
    )
}

/// The newest of these items that a page holds.
fn newest_of(found: &[Arc<Item>]) -> Page<Item> {
    let mut newer = 0;
    let fits = |item: &&Arc<Item>| {
        let fits = newer < PAGE;
        newer += item.bytes();
        fits
    };
    let rows: Vec<_> = found.iter().rev().take_while(fits).collect();
    let more = rows.len() < found.len();
    Page { rows: rows.into_iter().rev().map(|item| Item::clone(item)).collect(), more }
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
        let sql = format!("select body from ({sql}) as found order by {}", E::KEY);
        self.bodies(sql, conditions.values).await
    }

    /// All items that a filter asks for.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn items(&self, filter: &ItemFilter) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        let mut filter = filter.clone();
        loop {
            let Page { rows, more } = self.items_page(&filter).await?;
            filter.before = rows.first().map(|item| item.id).or(filter.before);
            found.splice(..0, rows);
            let enough = filter.limit.is_some_and(|limit| found.len() as u64 >= u64::from(limit));
            if !more || enough {
                return Ok(filter.newest(found));
            }
        }
    }

    /// The newest of the items that a filter asks for.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn items_page(&self, filter: &ItemFilter) -> Result<Page<Item>, StoreError> {
        if !filter.stages.is_empty() && filter.stages.iter().all(|stage| !stage.is_over()) {
            return Ok(newest_of(&self.live().found_items(filter)));
        }
        if filter.labels.is_empty() {
            return self.page(filter.into(), filter.limit).await;
        }
        // Which items are the newest with a label is seen in their bodies.
        let mut filter = filter.clone();
        loop {
            let Page { mut rows, more } = self.page::<Item>((&filter).into(), None).await?;
            let before = rows.first().map(|item| item.id);
            rows.retain(|item| filter.matches(item));
            filter.before = before;
            if !rows.is_empty() || !more {
                return Ok(Page { rows: filter.newest(rows), more });
            }
        }
    }

    async fn page<E: Stored>(&self, conditions: Conditions, limit: Option<u32>) -> Result<Page<E>, StoreError> {
        let rows: Vec<(String, i64)> = self.pool.fetch(page::<E>(&conditions, limit), conditions.values).await?;
        let found = rows.first().map_or(0, |(_, found)| usize::try_from(*found).unwrap_or_default());
        let more = rows.len() < found;
        Ok(Page { rows: rows.iter().map(|(body, _)| E::decode(body)).collect::<Result<_, _>>()?, more })
    }

    /// All workers that a filter asks for.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn workers(&self, filter: &WorkerFilter) -> Result<Vec<Worker>, StoreError> {
        self.found(filter.into(), filter.limit).await
    }

    /// The newest of the workers that a filter asks for.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn workers_page(&self, filter: &WorkerFilter) -> Result<Page<Worker>, StoreError> {
        self.page(filter.into(), filter.limit).await
    }

    /// All changes that a filter asks for.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn changes(&self, filter: &ChangeFilter) -> Result<Vec<Change>, StoreError> {
        self.found(filter.into(), filter.limit).await
    }

    /// The newest of the changes that a filter asks for.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn changes_page(&self, filter: &ChangeFilter) -> Result<Page<Change>, StoreError> {
        self.page(filter.into(), filter.limit).await
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
