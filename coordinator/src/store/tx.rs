//! The unit of work: what one transaction reads and changes, kept in memory until the
//! writer commits it together with its neighbours.

use std::collections::BTreeSet;
use std::sync::Arc;

use sprint_core::change::Change;
use sprint_core::event::{Event, NewEvent};
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, Seq, TokenId, WorkerId};
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::time::Timestamp;
use sprint_core::token::Token;
use sprint_core::worker::Worker;

use super::StoreError;
use super::db::{Connection, Shape, Value};
use super::directory::Directory;
use super::entity::{Entity, Rows, Slots, insert};
use super::notice::Notice;

/// Rows that one statement writes at most. Powers of two up to this are used, so that
/// few statements are prepared, and the parameters stay far below SQLite's 32,766.
const ROWS_PER_STATEMENT: usize = 128;

/// Cached rows before the cache starts anew: some tens of megabytes.
const CACHE_ROWS: usize = 50_000;

/// The next number of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    item: u64,
    worker: u64,
    change: u64,
    seq: u64,
}

/// One transaction as its job sees it.
///
/// Reads by key see everything decided before, also what is not written yet. A search
/// sees the database with all *earlier* transactions; a job searches before it saves.
pub struct Tx {
    directory: Arc<Directory>,
    connection: Connection,
    now: Timestamp,
    /// Whether the database's transaction has begun.
    begun: bool,
    /// Whether a statement of this batch failed. Then nothing of the batch may be committed: part of
    /// it may be missing, and PostgreSQL answers `commit` with success after having rolled back.
    broken: bool,
    /// What is committed.
    cache: Slots,
    /// What the finished jobs of this batch decided.
    batch: Slots,
    batch_events: Vec<Event>,
    batch_notices: BTreeSet<Notice>,
    /// What this batch changes in the directory.
    batch_directory: (Rows<Outpost>, Rows<Token>),
    batch_numbers: Numbers,
    /// What the running job decided.
    job: Slots,
    job_events: Vec<NewEvent>,
    job_notices: BTreeSet<Notice>,
    job_numbers: Numbers,
}

impl Tx {
    pub(crate) async fn new(connection: Connection, directory: Arc<Directory>) -> Result<Self, StoreError> {
        let mut tx = Self {
            directory,
            connection,
            now: Timestamp::default(),
            begun: false,
            broken: false,
            cache: Slots::default(),
            batch: Slots::default(),
            batch_events: Vec::new(),
            batch_notices: BTreeSet::new(),
            batch_directory: Default::default(),
            batch_numbers: Numbers::default(),
            job: Slots::default(),
            job_events: Vec::new(),
            job_notices: BTreeSet::new(),
            job_numbers: Numbers::default(),
        };
        tx.reload().await?;
        tx.fill_directory().await?;
        Ok(tx)
    }

    /// The time of this batch.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// # Errors
    /// [`StoreError`] when the database does not answer or holds something unreadable; so for all reads.
    pub async fn repo(&mut self, name: &RepoName) -> Result<Option<Repo>, StoreError> {
        self.get(name).await
    }

    /// # Errors
    /// As [`Tx::repo`].
    pub async fn item(&mut self, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.get(&id).await
    }

    /// # Errors
    /// As [`Tx::repo`].
    pub async fn worker(&mut self, id: WorkerId) -> Result<Option<Worker>, StoreError> {
        self.get(&id).await
    }

    /// # Errors
    /// As [`Tx::repo`].
    pub async fn change(&mut self, id: ChangeId) -> Result<Option<Change>, StoreError> {
        self.get(&id).await
    }

    /// # Errors
    /// As [`Tx::repo`].
    pub async fn outpost(&mut self, name: &OutpostName) -> Result<Option<Outpost>, StoreError> {
        self.get(name).await
    }

    /// # Errors
    /// As [`Tx::repo`].
    pub async fn token(&mut self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        self.get(id).await
    }

    /// The items whose parent is `parent`.
    ///
    /// # Errors
    /// As [`Tx::repo`].
    pub async fn children(&mut self, parent: ItemId) -> Result<Vec<Item>, StoreError> {
        self.search("select body from items where parent = $1 order by id", vec![parent.get().into()]).await
    }

    /// The items of a repo that are neither done nor cancelled.
    ///
    /// # Errors
    /// As [`Tx::repo`].
    pub async fn open_items(&mut self, repo: &RepoName) -> Result<Vec<Item>, StoreError> {
        let sql = "select body from items where repo = $1 and stage not in ('done', 'cancelled') order by id";
        self.search(sql, vec![repo.as_str().into()]).await
    }

    /// The workers that hold a slot of an outpost.
    ///
    /// # Errors
    /// As [`Tx::repo`].
    pub async fn live_workers(&mut self, outpost: &OutpostName) -> Result<Vec<Worker>, StoreError> {
        let sql = "select body from workers where live = 1 and outpost = $1 order by id";
        self.search(sql, vec![outpost.as_str().into()]).await
    }

    /// All outposts.
    ///
    /// # Errors
    /// As [`Tx::repo`].
    pub async fn outposts(&mut self) -> Result<Vec<Outpost>, StoreError> {
        self.search("select body from outposts order by name", vec![]).await
    }

    pub const fn next_item(&mut self) -> ItemId {
        self.job_numbers.item += 1;
        ItemId::new(self.job_numbers.item - 1)
    }

    pub const fn next_worker(&mut self) -> WorkerId {
        self.job_numbers.worker += 1;
        WorkerId::new(self.job_numbers.worker - 1)
    }

    pub const fn next_change(&mut self) -> ChangeId {
        self.job_numbers.change += 1;
        ChangeId::new(self.job_numbers.change - 1)
    }

    pub fn save_repo(&mut self, repo: Repo, event: NewEvent) {
        self.put(repo, event);
    }

    pub fn save_item(&mut self, item: Item, event: NewEvent) {
        self.put(item, event);
    }

    pub fn save_worker(&mut self, worker: Worker, event: NewEvent) {
        self.put(worker, event);
    }

    pub fn save_change(&mut self, change: Change, event: NewEvent) {
        self.put(change, event);
    }

    pub fn save_outpost(&mut self, outpost: Outpost, event: NewEvent) {
        self.put(outpost, event);
    }

    pub fn save_token(&mut self, token: Token, event: NewEvent) {
        self.put(token, event);
    }

    pub fn remove_repo(&mut self, name: RepoName, event: NewEvent) {
        Repo::rows(&mut self.job).insert(name, None);
        self.job_events.push(event);
    }

    pub fn remove_outpost(&mut self, name: OutpostName, event: NewEvent) {
        Outpost::rows(&mut self.job).insert(name, None);
        self.job_events.push(event);
    }

    /// Records something that changes no entity.
    pub fn record(&mut self, event: NewEvent) {
        self.job_events.push(event);
    }

    /// Wakes a loop once this is committed.
    pub fn notify(&mut self, notice: Notice) {
        self.job_notices.insert(notice);
    }

    fn put<E: Entity>(&mut self, entity: E, event: NewEvent) {
        E::rows(&mut self.job).insert(entity.key(), Some(entity));
        self.job_events.push(event);
    }

    async fn get<E: Entity>(&mut self, key: &E::Key) -> Result<Option<E>, StoreError> {
        for slots in [&mut self.job, &mut self.batch, &mut self.cache] {
            if let Some(found) = E::rows(slots).get(key) {
                return Ok(found.clone());
            }
        }
        let sql = format!("select body from {} where {} = $1", E::TABLE, E::KEY);
        let rows: Vec<(String,)> = self.fetch(sql, vec![E::key_value(key)]).await?;
        let Some((body,)) = rows.first() else { return Ok(None) };
        let entity = E::decode(body)?;
        E::rows(&mut self.cache).insert(key.clone(), Some(entity.clone()));
        Ok(Some(entity))
    }

    pub(super) async fn search<E: Entity>(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<E>, StoreError> {
        debug_assert!(self.job.is_empty(), "a job searches before it saves");
        self.flush().await?;
        let rows: Vec<(String,)> = self.fetch(sql.to_owned(), values).await?;
        rows.iter().map(|(body,)| E::decode(body)).collect()
    }

    async fn fetch(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<(String,)>, StoreError> {
        self.rows(sql, values).await
    }

    pub(super) async fn rows<T: Shape>(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<T>, StoreError> {
        let fetched = self.connection.fetch(sql, values).await;
        self.broken |= fetched.is_err();
        fetched
    }

    // What follows is the writer's side.

    pub(crate) async fn start_batch(&mut self, now: Timestamp) {
        if self.broken
            && let Err(error) = self.abandon().await
        {
            tracing::error!(%error, "the database still does not answer");
        }
        // The record's times never run backwards, whatever the clock does.
        self.now = self.now.max(now);
    }

    /// Keeps what the job decided, or forgets it.
    pub(crate) fn end_job(&mut self, keep: bool) {
        let mut slots = std::mem::take(&mut self.job);
        let events = std::mem::take(&mut self.job_events);
        let notices = std::mem::take(&mut self.job_notices);
        if !keep {
            self.job_numbers = self.batch_numbers;
            return;
        }
        for NewEvent { kind, repo, item, actor, data } in events {
            let seq = Seq::new(self.job_numbers.seq);
            self.job_numbers.seq += 1;
            let origin = actor.origin().map(ToOwned::to_owned);
            let actor = actor.to_string();
            self.batch_events.push(Event { seq, time: self.now, kind, repo, item, actor, origin, data });
        }
        self.batch_directory.0.extend(Outpost::rows(&mut slots).clone());
        self.batch_directory.1.extend(Token::rows(&mut slots).clone());
        self.batch.absorb(slots);
        self.batch_notices.extend(notices);
        self.batch_numbers = self.job_numbers;
    }

    /// Commits the batch; none when it changed nothing.
    pub(crate) async fn commit(&mut self) -> Result<Option<Committed>, StoreError> {
        self.flush().await?;
        if self.broken {
            return Err(StoreError::CommitFailed("a statement of the batch failed".to_owned()));
        }
        if self.begun {
            self.connection.commit().await?;
            self.begun = false;
        }
        if self.cache.len() > CACHE_ROWS {
            self.cache = Slots::default();
        }
        let (outposts, tokens) = std::mem::take(&mut self.batch_directory);
        self.directory.update(outposts, tokens);
        let notices = std::mem::take(&mut self.batch_notices);
        Ok(Some(Committed { last: Seq::new(self.batch_numbers.seq - 1), notices }))
    }

    /// Forgets the batch, and everything that was known of the database.
    pub(crate) async fn abandon(&mut self) -> Result<(), StoreError> {
        self.batch = Slots::default();
        self.batch_events.clear();
        self.batch_notices.clear();
        self.batch_directory = Default::default();
        self.cache = Slots::default();
        // Until the numbers are known again, nothing may be committed.
        self.broken = true;
        if self.begun {
            self.begun = false;
            self.connection.rollback().await?;
        }
        self.reload().await?;
        self.broken = false;
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        self.connection.close().await
    }

    pub(crate) fn last_seq(&self) -> Seq {
        Seq::new(self.batch_numbers.seq - 1)
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        let mut next = [0; 4];
        for (number, (table, key)) in
            next.iter_mut().zip([("items", "id"), ("workers", "id"), ("changes", "id"), ("events", "seq")])
        {
            let rows: Vec<(i64,)> =
                self.connection.fetch(format!("select coalesce(max({key}), 0) from {table}"), vec![]).await?;
            *number = rows.first().map_or(1, |(max,)| u64::try_from(*max).unwrap_or(0) + 1);
        }
        let [item, worker, change, seq] = next;
        let last: Vec<(i64,)> =
            self.connection.fetch("select time_ms from events order by seq desc limit 1".to_owned(), vec![]).await?;
        if let Some((time,)) = last.first() {
            self.now = self.now.max(Timestamp::from_millis(*time));
        }
        self.batch_numbers = Numbers { item, worker, change, seq };
        self.job_numbers = self.batch_numbers;
        Ok(())
    }

    async fn fill_directory(&mut self) -> Result<(), StoreError> {
        let outposts = self.search::<Outpost>("select body from outposts", vec![]).await?;
        let tokens = self.search::<Token>("select body from tokens", vec![]).await?;
        self.directory.update(
            outposts.into_iter().map(|outpost| (outpost.key(), Some(outpost))).collect(),
            tokens.into_iter().map(|token| (token.key(), Some(token))).collect(),
        );
        Ok(())
    }

    /// Writes what the finished jobs decided into the database's transaction.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let written = self.write_batch().await;
        self.broken |= written.is_err();
        written
    }

    async fn write_batch(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() && self.batch_events.is_empty() {
            return Ok(());
        }
        if !self.begun {
            self.connection.begin().await?;
            self.begun = true;
        }
        self.write_needs().await?;
        self.write::<Repo>().await?;
        self.write::<Item>().await?;
        self.write::<Worker>().await?;
        self.write::<Change>().await?;
        self.write::<Outpost>().await?;
        self.write::<Token>().await?;
        self.write_events().await?;
        self.cache.absorb(std::mem::take(&mut self.batch));
        Ok(())
    }

    async fn write<E: Entity>(&mut self) -> Result<(), StoreError> {
        let rows = E::rows(&mut self.batch);
        let mut values = Vec::with_capacity(rows.len());
        let mut removed = Vec::new();
        for (key, row) in rows {
            match row {
                Some(entity) => values.push(entity.values()?),
                None => removed.push(E::key_value(key)),
            }
        }
        for key in removed {
            self.connection.execute(format!("delete from {} where {} = $1", E::TABLE, E::KEY), vec![key]).await?;
        }
        write_rows(&mut self.connection, values, E::upsert).await
    }

    /// Brings the table of needs in line with the items whose needs changed.
    async fn write_needs(&mut self) -> Result<(), StoreError> {
        let mut values = Vec::new();
        let mut dropped = Vec::new();
        for (id, row) in Item::rows(&mut self.batch) {
            let Some(item) = row else { continue };
            let known = Item::rows(&mut self.cache).get(id).and_then(Option::as_ref);
            let before = known.map(|item| item.needs.clone()).unwrap_or_default();
            values.extend(item.needs.difference(&before).map(|need| vec![id.get().into(), need.get().into()]));
            dropped.extend(before.difference(&item.needs).map(|need| (*id, *need)));
        }
        for (item, need) in dropped {
            let sql = "delete from needs where item = $1 and need = $2".to_owned();
            self.connection.execute(sql, vec![item.get().into(), need.get().into()]).await?;
        }
        let upsert = |rows| insert("needs", &["item", "need"], rows) + " on conflict do nothing";
        write_rows(&mut self.connection, values, upsert).await
    }

    async fn write_events(&mut self) -> Result<(), StoreError> {
        let columns = ["seq", "time_ms", "kind", "repo", "item", "actor", "origin", "data"];
        let values = self
            .batch_events
            .drain(..)
            .map(|Event { seq, time, kind, repo, item, actor, origin, data }| {
                vec![
                    seq.get().into(),
                    time.as_millis().into(),
                    kind.as_str().into(),
                    Value::Text(repo.map(String::from)),
                    item.map_or(Value::Int(None), |item| item.get().into()),
                    actor.into(),
                    Value::Text(origin),
                    data.to_string().into(),
                ]
            })
            .collect();
        write_rows(&mut self.connection, values, |rows| insert("events", &columns, rows)).await
    }
}

/// Writes rows with as few statements as go, each for a power of two of rows.
async fn write_rows(
    connection: &mut Connection,
    mut rows: Vec<Vec<Value>>,
    statement: impl Fn(usize) -> String,
) -> Result<(), StoreError> {
    while !rows.is_empty() {
        let count = ROWS_PER_STATEMENT.min(1 << rows.len().ilog2());
        let values = rows.drain(..count).flatten().collect();
        connection.execute(statement(count), values).await?;
    }
    Ok(())
}

/// What a commit tells the rest of the coordinator.
pub(crate) struct Committed {
    pub(crate) last: Seq,
    pub(crate) notices: BTreeSet<Notice>,
}
