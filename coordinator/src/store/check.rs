//! The whole record, read at one moment, for those who check it.

use std::collections::BTreeMap;

use sprint_core::check::Record;
use sprint_core::ids::ItemId;

use super::{StoreError, Tx};

impl Tx {
    /// Everything that is on record.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or holds something unreadable.
    pub async fn everything(&mut self) -> Result<Record, StoreError> {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let events: Vec<(i64, i64)> =
            self.rows("select count(*), coalesce(max(seq), 0) from events".to_owned(), vec![]).await?;
        let landings: Vec<(i64, i64)> = self
            .rows("select item, count(*) from events where kind = 'item_landed' group by item".to_owned(), vec![])
            .await?;
        let (events, last_event) = events.first().map_or((0, 0), |(all, last)| (count(*all), count(*last)));
        Ok(Record {
            repos: self.search("select body from repos order by name", vec![]).await?,
            items: self.search("select body from items order by id", vec![]).await?,
            workers: self.search("select body from workers order by id", vec![]).await?,
            changes: self.search("select body from changes order by id", vec![]).await?,
            trials: self.search("select body from trials order by id", vec![]).await?,
            outposts: self.search("select body from outposts order by name", vec![]).await?,
            events,
            last_event,
            landings: landings.into_iter().map(|(item, times)| (ItemId::new(count(item)), count(times))).collect(),
        })
    }

    /// The rows whose columns say something else than their entity: they would be searched for in vain.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn stale_columns(&mut self, record: &Record) -> Result<Vec<String>, StoreError> {
        let expected = [
            ("items", "stage", record.items.iter().map(|item| (item.id.get(), item.stage.name().as_str())).collect()),
            ("workers", "state", {
                record.workers.iter().map(|worker| (worker.id.get(), worker.state.name().as_str())).collect()
            }),
            ("changes", "state", {
                record.changes.iter().map(|change| (change.id.get(), change.state.name().as_str())).collect()
            }),
            ("trials", "state", {
                record.trials.iter().map(|trial| (trial.id.get(), trial.state.name().as_str())).collect()
            }),
        ];
        let mut found = Vec::new();
        for (table, column, expected) in expected {
            let expected: BTreeMap<u64, &str> = expected;
            let rows: Vec<(i64, String)> = self.rows(format!("select id, {column} from {table}"), vec![]).await?;
            for (id, word) in rows {
                let is = u64::try_from(id).ok().and_then(|id| expected.get(&id)).copied().unwrap_or("not there");
                if is != word {
                    found.push(format!("row {id} of {table} has {column} \"{word}\", and its entity is {is}"));
                }
            }
        }
        Ok(found)
    }
}
