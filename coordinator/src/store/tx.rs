//! The unit of work: what one transaction reads and changes, kept in memory until the
//! writer commits it together with its neighbours.

mod everything;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sprint_core::event::{Event, NewEvent};
use sprint_core::ids::{ItemId, OutpostName, RepoName};
use sprint_core::item::{Item, StageName};
use sprint_core::outpost::Outpost;
use sprint_core::secret::Secret;
use sprint_core::text::UnknownWord;
use sprint_core::time::Timestamp;
use sprint_core::worker::Worker;

use super::db::{Connection, Shape, Statement, Value, Write};
use super::entity::{Entity as _, Key, Numbered, Slots, Stored};
use super::error::StoreError;
use super::everything::TABLES;
use super::live::{Live, Over};
use super::notice::Notice;
use crate::metrics::Count;

/// The table of events, which are numbered like entities.
const EVENTS: &str = "events";

/// The next number of each numbered table.
type Numbers = BTreeMap<&'static str, u64>;

/// One transaction as its job sees it.
///
/// Reads by key see everything decided before, also what is not written yet. A search
/// sees the database with all *earlier* transactions; a job searches before it saves.
pub struct Tx {
    live: Arc<Live>,
    connection: Connection,
    now: Timestamp,
    /// Why the database is away; nothing can be read or committed until it is back.
    away: Option<String>,
    /// Whether the database's transaction has begun.
    begun: bool,
    /// Whether a statement of this batch failed. Then nothing of the batch may be committed: part of
    /// it may be missing, and PostgreSQL answers `commit` with success after having rolled back.
    broken: bool,
    /// What is committed.
    cache: Slots,
    batch: Batch,
    job: Job,
}

/// The decisions of the running job.
#[derive(Default)]
struct Job {
    rows: Slots,
    events: Vec<NewEvent>,
    notices: BTreeSet<Notice>,
    /// Events that have their numbers already, from a backup.
    restored: Vec<Event>,
    /// The least numbers that may be given next.
    sequences: Vec<(&'static str, u64)>,
    /// The next numbers of the tables that the job has taken numbers of.
    numbers: Numbers,
}

/// The decisions of the finished jobs of this batch.
#[derive(Default)]
struct Batch {
    rows: Slots,
    events: Vec<Event>,
    /// What the events count for, when they are committed.
    counts: Vec<Count>,
    notices: BTreeSet<Notice>,
    sequences: Vec<(&'static str, u64)>,
    numbers: Numbers,
    /// The rows that are written already, for what is live.
    written: Slots,
    /// The writes that were sent before the commit: a connection that breaks before the commit loses them.
    sent: Vec<Write>,
}

impl Tx {
    pub(crate) async fn new(connection: Connection, live: Arc<Live>) -> Result<Self, StoreError> {
        let mut tx = Self {
            live,
            connection,
            now: Timestamp::default(),
            away: None,
            begun: false,
            broken: false,
            cache: Slots::default(),
            batch: Batch::default(),
            job: Job::default(),
        };
        tx.reload().await?;
        Ok(tx)
    }

    /// The time of this batch.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The entity with a key.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or holds something unreadable; so for all reads.
    pub async fn get<K: Key>(&mut self, key: &K) -> Result<Option<K::Entity>, StoreError> {
        for slots in [&self.job.rows, &self.batch.rows, &self.cache] {
            if let Some(found) = K::Entity::rows(slots).get(key) {
                return Ok(found.as_deref().cloned());
            }
        }
        let sql = format!("select body from {} where {} = $1", K::Entity::TABLE, K::Entity::KEY);
        let rows: Vec<(String,)> = self.rows(sql, vec![key.value()]).await?;
        let Some((body,)) = rows.first() else { return Ok(None) };
        let entity = K::Entity::decode(body)?;
        K::Entity::rows_mut(&mut self.cache).insert(key.clone(), Some(Arc::new(entity.clone())));
        Ok(Some(entity))
    }

    /// Keeps an entity, with the event that changed it.
    pub fn save<E: Stored>(&mut self, entity: E, event: NewEvent) {
        self.take(entity);
        self.job.events.push(event);
    }

    /// Keeps an entity whose change an event of the same job tells.
    pub fn save_along<E: Stored>(&mut self, entity: E) {
        self.take(entity);
    }

    /// Removes an entity.
    pub fn remove<K: Key>(&mut self, key: &K, event: NewEvent) {
        K::Entity::rows_mut(&mut self.job.rows).insert(key.clone(), None);
        self.job.events.push(event);
    }

    /// The next number of a kind of entity.
    pub fn next_id<K: Numbered>(&mut self) -> K {
        let table = K::Entity::TABLE;
        let known = self.batch.numbers.get(table).copied().unwrap_or(1);
        let next = self.job.numbers.entry(table).or_insert(known);
        *next += 1;
        K::of(*next - 1)
    }

    /// Records something that changes no entity.
    pub fn record(&mut self, event: NewEvent) {
        self.job.events.push(event);
    }

    /// Wakes a loop once this is committed.
    pub fn notify(&mut self, notice: Notice) {
        self.job.notices.insert(notice);
    }

    /// The items whose parent is `parent`.
    ///
    /// # Errors
    /// As [`Tx::get`].
    pub async fn children(&mut self, parent: ItemId) -> Result<Vec<Item>, StoreError> {
        self.search("select body from items where parent = $1 order by id", vec![parent.get().into()]).await
    }

    /// The items of a repo that are neither done nor cancelled.
    ///
    /// # Errors
    /// As [`Tx::get`].
    pub async fn open_items(&mut self, repo: &RepoName) -> Result<Vec<Item>, StoreError> {
        let sql = "select body from items where repo = $1 and stage not in ('done', 'cancelled') order by id";
        self.search(sql, vec![repo.as_str().into()]).await
    }

    /// The workers that hold a slot of an outpost.
    ///
    /// # Errors
    /// As [`Tx::get`].
    pub async fn live_workers(&mut self, outpost: &OutpostName) -> Result<Vec<Worker>, StoreError> {
        let sql = "select body from workers where live = 1 and outpost = $1 order by id";
        self.search(sql, vec![outpost.as_str().into()]).await
    }

    /// All outposts.
    ///
    /// # Errors
    /// As [`Tx::get`].
    pub async fn outposts(&mut self) -> Result<Vec<Outpost>, StoreError> {
        self.all().await
    }

    /// All secrets.
    ///
    /// # Errors
    /// As [`Tx::get`].
    pub async fn secrets(&mut self) -> Result<Vec<Secret>, StoreError> {
        self.all().await
    }

    /// Every entity of a kind, in the order of its keys.
    pub(super) async fn all<E: Stored>(&mut self) -> Result<Vec<E>, StoreError> {
        let sql = format!("select body from {} order by {}", E::TABLE, E::KEY);
        self.search(&sql, vec![]).await
    }

    /// Takes an entity over as it is, without an event of its own.
    pub(super) fn take<E: Stored>(&mut self, entity: E) {
        E::rows_mut(&mut self.job.rows).insert(entity.key(), Some(Arc::new(entity)));
    }

    pub(super) fn take_all<E: Stored>(&mut self, entities: impl IntoIterator<Item = E>) {
        for entity in entities {
            self.take(entity);
        }
    }

    /// Takes events over with the numbers that they have.
    pub(super) fn take_events(&mut self, events: Vec<Event>) {
        self.job.restored = events;
    }

    /// Gives numbers of a table from `next` on only.
    pub(super) fn set_sequence(&mut self, table: &'static str, next: u64) {
        self.job.sequences.push((table, next));
    }

    pub(super) async fn search<E: Stored>(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<E>, StoreError> {
        debug_assert!(self.job.rows.len() == 0, "a job searches before it saves");
        self.flush().await?;
        let rows: Vec<(String,)> = self.rows(sql.to_owned(), values).await?;
        rows.iter().map(|(body,)| E::decode(body)).collect()
    }

    pub(super) async fn rows<T: Shape>(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<T>, StoreError> {
        if let Some(why) = &self.away {
            return Err(StoreError::Unavailable(why.clone()));
        }
        let fetched = self.connection.fetch(Statement { sql, values }).await;
        self.broken |= fetched.is_err();
        Ok(fetched?)
    }

    pub(super) async fn load_live<E: Stored>(&mut self, slots: &mut Slots) -> Result<(), StoreError> {
        let Some(condition) = E::LIVE else { return Ok(()) };
        let found: Vec<E> = self.search(&format!("select body from {} where {condition}", E::TABLE), vec![]).await?;
        E::rows_mut(slots).extend(found.into_iter().map(|entity| (entity.key(), Some(Arc::new(entity)))));
        Ok(())
    }

    /// What is to be known of the items that are over, without their JSON.
    pub(super) async fn items_that_are_over(&mut self) -> Result<Vec<(ItemId, Over)>, StoreError> {
        let sql = "select id, kind, stage, parent from items where stage in ('done', 'cancelled')";
        let rows: Vec<(i64, String, String, Option<i64>)> = self.rows(sql.to_owned(), vec![]).await?;
        let id = |number: i64| ItemId::new(u64::try_from(number).unwrap_or(0));
        rows.into_iter()
            .map(|(item, kind, stage, parent)| {
                let kind = kind.parse().map_err(|error: UnknownWord| StoreError::corrupt(Item::TABLE, error))?;
                Ok((id(item), Over { kind, parent: parent.map(id), is_done: stage == StageName::Done.as_str() }))
            })
            .collect()
    }

    /// The names of the tables whose keys are numbered, with their keys' columns; events among them.
    fn numbered() -> impl Iterator<Item = (&'static str, &'static str)> {
        TABLES.iter().filter(|table| table.numbered).map(|table| (table.name, table.key)).chain([(EVENTS, "seq")])
    }
}
