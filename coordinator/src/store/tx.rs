//! The unit of work: what one transaction reads and changes, kept in memory until the
//! writer commits it together with its neighbours.

mod writing;

use std::collections::BTreeSet;
use std::sync::Arc;

use sprint_core::change::Change;
use sprint_core::event::{Event, NewEvent};
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, TokenId, TrialId, WorkerId};
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::time::Timestamp;
use sprint_core::token::Token;
use sprint_core::trial::Trial;
use sprint_core::worker::Worker;

use super::StoreError;
use super::db::{Connection, Shape, Value};
use super::directory::{Changed, Directory};
use super::entity::{Entity, Slots};
use super::notice::Notice;

/// The next number of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    item: u64,
    worker: u64,
    change: u64,
    trial: u64,
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
    batch: Batch,
    job: Job,
}

/// What the running job decided.
#[derive(Default)]
struct Job {
    rows: Slots,
    events: Vec<NewEvent>,
    notices: BTreeSet<Notice>,
    /// Events that have their numbers already, from a backup.
    restored: Vec<Event>,
    /// The least numbers that may be given next.
    floors: Vec<(&'static str, u64)>,
    numbers: Numbers,
}

/// What the finished jobs of this batch decided.
#[derive(Default)]
struct Batch {
    rows: Slots,
    events: Vec<Event>,
    notices: BTreeSet<Notice>,
    /// What it changes in the directory.
    known: Changed,
    floors: Vec<(&'static str, u64)>,
    numbers: Numbers,
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
            batch: Batch::default(),
            job: Job::default(),
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
    pub async fn trial(&mut self, id: TrialId) -> Result<Option<Trial>, StoreError> {
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
        self.job.numbers.item += 1;
        ItemId::new(self.job.numbers.item - 1)
    }

    pub const fn next_worker(&mut self) -> WorkerId {
        self.job.numbers.worker += 1;
        WorkerId::new(self.job.numbers.worker - 1)
    }

    pub const fn next_change(&mut self) -> ChangeId {
        self.job.numbers.change += 1;
        ChangeId::new(self.job.numbers.change - 1)
    }

    pub const fn next_trial(&mut self) -> TrialId {
        self.job.numbers.trial += 1;
        TrialId::new(self.job.numbers.trial - 1)
    }

    pub fn save_trial(&mut self, trial: Trial, event: NewEvent) {
        self.put(trial, event);
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
        Repo::rows(&mut self.job.rows).insert(name, None);
        self.job.events.push(event);
    }

    pub fn remove_outpost(&mut self, name: OutpostName, event: NewEvent) {
        Outpost::rows(&mut self.job.rows).insert(name, None);
        self.job.events.push(event);
    }

    /// Records something that changes no entity.
    pub fn record(&mut self, event: NewEvent) {
        self.job.events.push(event);
    }

    /// Wakes a loop once this is committed.
    pub fn notify(&mut self, notice: Notice) {
        self.job.notices.insert(notice);
    }

    fn put<E: Entity>(&mut self, entity: E, event: NewEvent) {
        E::rows(&mut self.job.rows).insert(entity.key(), Some(entity));
        self.job.events.push(event);
    }

    /// Takes an entity over as it is, without an event of its own.
    pub(super) fn take<E: Entity>(&mut self, entity: E) {
        E::rows(&mut self.job.rows).insert(entity.key(), Some(entity));
    }

    /// Takes events over with the numbers that they have.
    pub(super) fn take_events(&mut self, events: Vec<Event>) {
        self.job.restored = events;
    }

    /// Gives numbers of a table from `next` on only.
    pub(super) fn set_floor(&mut self, table: &'static str, next: u64) {
        self.job.floors.push((table, next));
    }

    async fn get<E: Entity>(&mut self, key: &E::Key) -> Result<Option<E>, StoreError> {
        for slots in [&mut self.job.rows, &mut self.batch.rows, &mut self.cache] {
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
        debug_assert!(self.job.rows.is_empty(), "a job searches before it saves");
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
}
