//! The writer's side of a transaction: jobs are gathered into a batch, and the batch is committed.

use std::collections::BTreeSet;

use sprint_core::change::Change;
use sprint_core::event::{Event, NewEvent};
use sprint_core::ids::Seq;
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::time::Timestamp;
use sprint_core::token::Token;
use sprint_core::trial::Trial;
use sprint_core::worker::Worker;

use super::super::StoreError;
use super::super::db::{Connection, Value};
use super::super::directory::Changed;
use super::super::entity::{Entity, Slots, insert};
use super::super::notice::Notice;
use super::{Batch, Job, Numbers, Tx};

/// Rows that one statement writes at most. Powers of two up to this are used, so that
/// few statements are prepared, and the parameters stay far below SQLite's 32,766.
const ROWS_PER_STATEMENT: usize = 128;

/// Cached rows before the cache starts anew: some tens of megabytes.
const CACHE_ROWS: usize = 50_000;

impl Tx {
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
        let Job { mut rows, events, notices, restored, floors, numbers } = std::mem::take(&mut self.job);
        self.job.numbers = self.batch.numbers;
        if !keep {
            return;
        }
        self.batch.numbers = numbers;
        if let Some(last) = restored.last() {
            self.batch.numbers.seq = last.seq.get() + 1;
        }
        self.batch.events.extend(restored);
        self.batch.floors.extend(floors);
        for NewEvent { kind, repo, item, actor, data } in events {
            let seq = Seq::new(self.batch.numbers.seq);
            self.batch.numbers.seq += 1;
            let origin = actor.origin().map(ToOwned::to_owned);
            let actor = actor.to_string();
            self.batch.events.push(Event { seq, time: self.now, kind, repo, item, actor, origin, data });
        }
        self.batch.known.note(&mut rows);
        self.batch.rows.absorb(rows);
        self.batch.notices.extend(notices);
        self.job.numbers = self.batch.numbers;
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
        self.directory.update(std::mem::take(&mut self.batch.known));
        let notices = std::mem::take(&mut self.batch.notices);
        Ok(Some(Committed { last: Seq::new(self.batch.numbers.seq - 1), notices }))
    }

    /// Forgets the batch, and everything that was known of the database.
    pub(crate) async fn abandon(&mut self) -> Result<(), StoreError> {
        self.batch = Batch::default();
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
        Seq::new(self.batch.numbers.seq - 1)
    }

    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        let mut next = [0; 5];
        for (number, (table, key)) in next.iter_mut().zip([
            ("items", "id"),
            ("workers", "id"),
            ("changes", "id"),
            ("trials", "id"),
            ("events", "seq"),
        ]) {
            let rows: Vec<(i64,)> =
                self.connection.fetch(format!("select coalesce(max({key}), 0) from {table}"), vec![]).await?;
            *number = rows.first().map_or(1, |(max,)| u64::try_from(*max).unwrap_or(0) + 1);
        }
        let floors: Vec<(String, i64)> =
            self.connection.fetch("select name, next from floors".to_owned(), vec![]).await?;
        for (name, floor) in floors {
            let number = ["items", "workers", "changes", "trials", "events"].iter().position(|table| *table == name);
            if let Some(number) = number.and_then(|number| next.get_mut(number)) {
                *number = (*number).max(u64::try_from(floor).unwrap_or(0));
            }
        }
        let [item, worker, change, trial, seq] = next;
        let last: Vec<(i64,)> =
            self.connection.fetch("select time_ms from events order by seq desc limit 1".to_owned(), vec![]).await?;
        if let Some((time,)) = last.first() {
            self.now = self.now.max(Timestamp::from_millis(*time));
        }
        self.batch.numbers = Numbers { item, worker, change, trial, seq };
        self.job.numbers = self.batch.numbers;
        Ok(())
    }

    pub(super) async fn fill_directory(&mut self) -> Result<(), StoreError> {
        let outposts = self.search::<Outpost>("select body from outposts", vec![]).await?;
        let tokens = self.search::<Token>("select body from tokens", vec![]).await?;
        let workers = self.search::<Worker>("select body from workers where live = 1", vec![]).await?;
        let trials = self.search::<Trial>("select body from trials where retired = 0", vec![]).await?;
        self.directory.update(Changed {
            outposts: outposts.into_iter().map(|outpost| (outpost.key(), Some(outpost))).collect(),
            tokens: tokens.into_iter().map(|token| (token.key(), Some(token))).collect(),
            workers: workers.into_iter().map(|worker| (worker.key(), Some(worker))).collect(),
            trials: trials.into_iter().map(|trial| (trial.key(), Some(trial))).collect(),
        });
        Ok(())
    }

    /// Writes what the finished jobs decided into the database's transaction.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        let written = self.write_batch().await;
        self.broken |= written.is_err();
        written
    }

    async fn write_batch(&mut self) -> Result<(), StoreError> {
        if self.batch.rows.is_empty() && self.batch.events.is_empty() {
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
        self.write::<Trial>().await?;
        self.write::<Outpost>().await?;
        self.write::<Token>().await?;
        self.write_events().await?;
        for (name, next) in std::mem::take(&mut self.batch.floors) {
            let sql =
                "insert into floors (name, next) values ($1, $2) on conflict (name) do update set next = excluded.next";
            self.connection.execute(sql.to_owned(), vec![name.into(), next.into()]).await?;
        }
        self.cache.absorb(std::mem::take(&mut self.batch.rows));
        Ok(())
    }

    async fn write<E: Entity>(&mut self) -> Result<(), StoreError> {
        let rows = E::rows(&mut self.batch.rows);
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
        for (id, row) in Item::rows(&mut self.batch.rows) {
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
            .batch
            .events
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
