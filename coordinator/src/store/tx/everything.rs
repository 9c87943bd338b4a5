//! What a transaction does with every table.

use super::super::db::Write;
use super::super::entity::{Slots, each_entity};
use super::super::error::StoreError;
use super::super::everything::Everything;
use super::Tx;

macro_rules! of_every_table {
    ($($table:ident: $entity:ty, $by:ident $key:ty;)+) => {
        impl Tx {
            /// Everything that is on record, each table in the order of its keys.
            ///
            /// # Errors
            /// [`StoreError`] when the database does not answer or holds something unreadable.
            pub async fn everything(&mut self) -> Result<Everything, StoreError> {
                Ok(Everything { $($table: self.all().await?),+ })
            }

            /// Takes entities over as they are, without events of their own.
            pub(in super::super) fn take_everything(&mut self, everything: Everything) {
                $(self.take_all(everything.$table);)+
            }

            /// What the batch changed.
            pub(super) fn writes_of_entities(&self, into: &mut Vec<Write>) -> Result<(), StoreError> {
                $(self.writes_of::<$entity>(into)?;)+
                Ok(())
            }

            /// The rows that are kept in memory, as the database has them.
            pub(super) async fn live_rows(&mut self) -> Result<Slots, StoreError> {
                let mut slots = Slots::default();
                $(self.load_live::<$entity>(&mut slots).await?;)+
                Ok(slots)
            }

            /// The rows whose state's column says something else than their entity: a search misses them.
            ///
            /// # Errors
            /// [`StoreError`] when the database does not answer.
            pub async fn stale_columns(&mut self) -> Result<Vec<String>, StoreError> {
                let mut found = Vec::new();
                $(self.stale_columns_of::<$entity>(&mut found).await?;)+
                Ok(found)
            }
        }
    };
}

each_entity!(of_every_table);
