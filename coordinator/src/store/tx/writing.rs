//! The writer's side of a transaction: jobs are gathered into a batch, and the batch is committed.

use std::collections::BTreeSet;

use sprint_core::event::{Event, NewEvent, Seq};
use sprint_core::time::Timestamp;

use super::super::db::{Rows, Value, Write};
use super::super::entity::{Key as _, Slots, Stored, insert};
use super::super::error::StoreError;
use super::super::notice::Notice;
use super::{Batch, EVENTS, Job, Numbers, Tx};
use crate::metrics::{Count, METRICS};

const EVENT_COLUMNS: &[&str] = &["seq", "time_ms", "kind", "repo", "item", "actor", "origin", "data"];

/// The number of cached rows at which the cache is cleared, unless twice as many are live: about a megabyte.
const CACHE_ROWS: usize = 2_000;

impl Tx {
    pub(crate) async fn start_batch(&mut self, now: Timestamp) {
        if (self.broken || self.away.is_some() || !self.connection.is_connected())
            && let Err(error) = self.abandon().await
        {
            tracing::error!(%error, "the database still does not answer");
        }
        // The record's times never run backwards, whatever the clock does.
        self.now = self.now.max(now);
    }

    /// Whether the database is away, as far as is known.
    pub(crate) const fn is_away(&self) -> bool {
        self.away.is_some() || !self.connection.is_connected()
    }

    /// Whether the database is in this process.
    pub(crate) const fn is_embedded(&self) -> bool {
        self.connection.is_embedded()
    }

    /// Keeps what the job decided, or forgets it.
    pub(crate) fn end_job(&mut self, keep: bool) {
        let Job { rows, events, notices, restored, sequences, numbers } = std::mem::take(&mut self.job);
        if !keep {
            return;
        }
        self.batch.numbers.extend(numbers);
        if let Some(last) = restored.last() {
            self.batch.numbers.insert(EVENTS, last.seq.get() + 1);
        }
        self.batch.events.extend(restored);
        self.batch.sequences.extend(sequences);
        let next = self.batch.numbers.entry(EVENTS).or_insert(1);
        for NewEvent { kind, repo, item, actor, data } in events {
            let seq = Seq::new(*next);
            *next += 1;
            self.batch.counts.extend(Count::of(&kind, repo.as_ref(), &data));
            let origin = actor.origin().map(ToOwned::to_owned);
            let actor = actor.to_string();
            self.batch.events.push(Event { seq, time: self.now, kind, repo, item, actor, origin, data });
        }
        self.batch.rows.absorb(rows);
        self.batch.notices.extend(notices);
    }

    /// Commits the batch, in one trip to the database.
    ///
    /// # Errors
    /// [`StoreError::CommitFailed`] or [`StoreError::Unavailable`] when nothing of it was made,
    /// [`StoreError::Unknown`] when the connection broke before the answer.
    pub(crate) async fn commit(&mut self) -> Result<Committed, StoreError> {
        if let Some(why) = &self.away {
            return Err(StoreError::Unavailable(why.clone()));
        }
        let writes = match self.writes() {
            Ok(writes) if !self.broken => writes,
            Ok(_) => return Err(StoreError::CommitFailed("a statement of the batch failed".to_owned())),
            Err(error) => {
                self.broken = true;
                return Err(error);
            }
        };
        if self.begun || !writes.is_empty() {
            self.commit_writes(writes).await?;
            self.begun = false;
        }
        self.batch.written.absorb(self.batch.rows.share());
        self.cache.absorb(std::mem::take(&mut self.batch.rows));
        if self.cache.len() > CACHE_ROWS && self.cache.len() > 2 * self.live.len() {
            self.cache = Slots::default();
        }
        let Batch { rows: _, events: _, counts, notices, sequences: _, numbers, written, sent: _ } =
            std::mem::take(&mut self.batch);
        for count in counts {
            METRICS.count(count);
        }
        self.live.update(&written);
        self.batch.numbers = numbers;
        Ok(Committed { last: self.last_seq(), notices })
    }

    /// Commits, once more on a new connection where the first was lost before the order to commit.
    async fn commit_writes(&mut self, writes: Vec<Write>) -> Result<(), StoreError> {
        let begin = (!self.begun).then(|| self.connection.begin());
        let writes = begin.into_iter().chain(writes).collect::<Vec<_>>();
        self.begun = true;
        let failure = match self.connection.commit(&writes).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        self.broken = true;
        if failure.is_unknown {
            return Err(StoreError::Unknown(failure.error.to_string()));
        }
        if !failure.error.is_disconnected() {
            return Err(StoreError::CommitFailed(failure.error.to_string()));
        }
        // The decisions still hold if nothing was written since: the lock is ours again, and the last event is.
        let lost = |error: StoreError| StoreError::Unavailable(error.to_string());
        self.connection.reconnect().await.map_err(lost)?;
        let (numbers, _) = self.read_numbers().await.map_err(lost)?;
        let mut again = std::mem::take(&mut self.batch.sent);
        again.extend(writes);
        let first = first_seq(&again).unwrap_or(self.last_seq().get() + 1);
        if numbers.get(EVENTS).copied() != Some(first) {
            return Err(StoreError::Unavailable(failure.error.to_string()));
        }
        match self.connection.commit(&again).await {
            Ok(()) => {
                self.broken = false;
                Ok(())
            }
            Err(failure) if failure.is_unknown => Err(StoreError::Unknown(failure.error.to_string())),
            Err(failure) => Err(StoreError::Unavailable(failure.error.to_string())),
        }
    }

    /// Forgets the batch, and everything that was known of the database; connects again where that was lost.
    ///
    /// # Errors
    /// What the database says; until it answers, nothing is read or committed.
    pub(crate) async fn abandon(&mut self) -> Result<(), StoreError> {
        self.batch = Batch::default();
        self.job = Job::default();
        self.cache = Slots::default();
        let recovered = self.recover().await;
        self.away = recovered.as_ref().err().map(ToString::to_string);
        recovered
    }

    async fn recover(&mut self) -> Result<(), StoreError> {
        self.away = None;
        // Until the numbers are known again, nothing may be committed.
        self.broken = true;
        let begun = std::mem::take(&mut self.begun);
        if begun
            && self.connection.is_connected()
            && let Err(error) = self.connection.execute(&[Write::statement("rollback", vec![])]).await
        {
            // SQLite has rolled back by itself after some failures.
            tracing::debug!(%error, "nothing to roll back");
        }
        if !self.connection.is_connected() {
            self.connection.reconnect().await?;
            tracing::info!("connected to the database again");
        }
        self.reload().await?;
        self.broken = false;
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }

    pub(crate) fn last_seq(&self) -> Seq {
        Seq::new(self.batch.numbers.get(EVENTS).copied().unwrap_or(1) - 1)
    }

    /// Reads the numbers, the time and what is live.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        let (numbers, time) = self.read_numbers().await?;
        self.batch.numbers = numbers;
        self.now = self.now.max(time);
        let live = self.live_rows().await?;
        let over = self.items_that_are_over().await?;
        self.live.replace(&live, over);
        Ok(())
    }

    /// The next number of each table, and the time of the last event.
    async fn read_numbers(&mut self) -> Result<(Numbers, Timestamp), StoreError> {
        let mut numbers = Numbers::new();
        for (table, key) in Self::numbered() {
            let rows: Vec<(i64,)> = self.rows(format!("select coalesce(max({key}), 0) from {table}"), vec![]).await?;
            numbers.insert(table, rows.first().map_or(1, |(max,)| u64::try_from(*max).unwrap_or(0) + 1));
        }
        let sequences: Vec<(String, i64)> = self.rows("select name, next from sequences".to_owned(), vec![]).await?;
        for (name, next) in sequences {
            if let Some((_, number)) = numbers.iter_mut().find(|(table, _)| **table == name) {
                *number = (*number).max(u64::try_from(next).unwrap_or(0));
            }
        }
        let last: Vec<(i64,)> =
            self.rows("select time_ms from events order by seq desc limit 1".to_owned(), vec![]).await?;
        Ok((numbers, last.first().map_or_else(Timestamp::default, |(time,)| Timestamp::from_millis(*time))))
    }

    /// Writes what the finished jobs decided into the database's transaction, so that a search sees it.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        let writes = self.writes()?;
        if writes.is_empty() {
            return Ok(());
        }
        if let Some(why) = &self.away {
            return Err(StoreError::Unavailable(why.clone()));
        }
        let begin = (!self.begun).then(|| self.connection.begin());
        let writes = begin.into_iter().chain(writes).collect::<Vec<_>>();
        // Also when a later one fails: then there is something to roll back.
        self.begun = true;
        let written = self.connection.execute(&writes).await;
        self.batch.sent.extend(writes);
        self.broken |= written.is_err();
        written?;
        self.batch.written.absorb(self.batch.rows.share());
        self.cache.absorb(std::mem::take(&mut self.batch.rows));
        Ok(())
    }

    /// What the batch writes; its events and sequences are taken.
    fn writes(&mut self) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::new();
        if self.batch.rows.len() == 0 && self.batch.events.is_empty() && self.batch.sequences.is_empty() {
            return Ok(writes);
        }
        self.writes_of_entities(&mut writes)?;
        self.writes_of_events(&mut writes);
        for (name, next) in std::mem::take(&mut self.batch.sequences) {
            let sql = "insert into sequences (name, next) values ($1, $2)
                on conflict (name) do update set next = excluded.next";
            writes.push(Write::statement(sql, vec![name.into(), next.into()]));
        }
        Ok(writes)
    }

    pub(in super::super) fn writes_of<E: Stored>(&self, into: &mut Vec<Write>) -> Result<(), StoreError> {
        let rows = E::rows(&self.batch.rows);
        let mut values = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            match row {
                Some(entity) => values.push(entity.values()?),
                None => into.push(Write::statement(
                    format!("delete from {} where {} = $1", E::TABLE, E::KEY),
                    vec![key.value()],
                )),
            }
        }
        push_rows(into, E::TABLE, values, E::upsert);
        Ok(())
    }

    fn writes_of_events(&mut self, into: &mut Vec<Write>) {
        let of_event = |Event { seq, time, kind, repo, item, actor, origin, data }| {
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
        };
        let values = self.batch.events.drain(..).map(of_event).collect();
        push_rows(into, EVENTS, values, |rows| insert(EVENTS, EVENT_COLUMNS, rows));
    }
}

fn push_rows(into: &mut Vec<Write>, table: &'static str, values: Vec<Vec<Value>>, statement: fn(usize) -> String) {
    if !values.is_empty() {
        into.push(Write::Rows(Rows { table, statement, values }));
    }
}

/// The number of the first event that is written.
fn first_seq(writes: &[Write]) -> Option<u64> {
    let of_events = |write: &Write| match write {
        Write::Rows(Rows { table, values, .. }) if *table == EVENTS => {
            values.first().and_then(|row| row.first()).cloned()
        }
        Write::Rows(_) | Write::Statement(_) => None,
    };
    match writes.iter().find_map(of_events)? {
        Value::Int(Some(seq)) => u64::try_from(seq).ok(),
        Value::Int(None) | Value::Text(_) => None,
    }
}

/// The result of a commit, for the rest of the coordinator.
pub(crate) struct Committed {
    pub(crate) last: Seq,
    pub(crate) notices: BTreeSet<Notice>,
}
