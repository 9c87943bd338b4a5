//! The data that a check of the record reads besides the entities.

use std::collections::BTreeMap;

use sprint_core::ids::ItemId;

use super::entity::Stored;
use super::{StoreError, Tx};

/// The events in numbers.
#[derive(Debug, Clone, Default)]
pub struct EventCounts {
    pub events: u64,
    /// The number of the last.
    pub last: u64,
    /// How often each item was recorded as landed.
    pub landings: BTreeMap<ItemId, u64>,
}

impl Tx {
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn event_counts(&mut self) -> Result<EventCounts, StoreError> {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let all: Vec<(i64, i64)> =
            self.rows("select count(*), coalesce(max(seq), 0) from events".to_owned(), vec![]).await?;
        let landings: Vec<(i64, i64)> = self
            .rows(
                "select item, sum(case kind when 'item_landed' then 1 else -1 end) from events \
                 where kind in ('item_landed', 'item_undone') and item is not null group by item"
                    .to_owned(),
                vec![],
            )
            .await?;
        let (events, last) = all.first().map_or((0, 0), |(all, last)| (count(*all), count(*last)));
        let landings = landings.into_iter().map(|(item, times)| (ItemId::new(count(item)), count(times))).collect();
        Ok(EventCounts { events, last, landings })
    }

    pub(super) async fn stale_columns_of<E: Stored>(&mut self, found: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(state) = E::STATE else { return Ok(()) };
        let place = E::COLUMNS.iter().position(|column| *column == state).unwrap_or_default();
        let mut expected = BTreeMap::new();
        for entity in self.all::<E>().await? {
            if let Some(super::Value::Text(Some(word))) = entity.columns().into_iter().nth(place) {
                expected.insert(format!("{:?}", super::Key::value(&entity.key())), word);
            }
        }
        let (table, key) = (E::TABLE, E::KEY);
        let rows: Vec<(i64, String)> = self.rows(format!("select {key}, {state} from {table}"), vec![]).await?;
        for (id, word) in rows {
            let is = expected.get(&format!("{:?}", super::Value::from(id))).map_or("not there", String::as_str);
            if is != word {
                found.push(format!("row {id} of {table} has {state} \"{word}\", and its entity is {is}"));
            }
        }
        Ok(())
    }
}
