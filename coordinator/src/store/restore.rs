//! A record from somewhere else, put into an empty database.

use sprint_core::event::Event;
use sprint_core::ids::Attempt;
use sprint_core::item::Stage;

use super::everything::{Everything, TABLES};
use super::{StoreError, Tx};

/// How far numbers leap over those that may have been given after the backup: an outpost may still have
/// workers of those numbers, which must not be taken for others.
const LEAP: u64 = 100_000;

/// The same for the attempts of an item that is not over.
const ATTEMPTS: u32 = 1_000;

/// Items are people's numbers and never leap: an outpost knows them by their attempts.
const NO_LEAP: &str = "items";

impl Tx {
    /// Puts a whole record into an empty database.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] when there is anything in it.
    pub async fn restore(&mut self, mut record: Everything, events: Vec<Event>) -> Result<(), StoreError> {
        let here = self.everything().await?;
        let counts = self.event_counts().await?;
        if counts.events != 0 || !here.repos.is_empty() || !here.tokens.is_empty() {
            return Err(StoreError::NotEmpty);
        }
        for item in &mut record.items {
            let waits = matches!(item.stage, Stage::Ready | Stage::Blocked { .. });
            if waits && item.attempt != Attempt::default() {
                item.attempt = Attempt::new(item.attempt.get().saturating_add(ATTEMPTS));
            }
        }
        let last = record.last_numbers();
        for table in TABLES.iter().filter(|table| table.numbered && table.name != NO_LEAP) {
            self.set_sequence(table.name, last.get(table.name).copied().unwrap_or(0) + LEAP);
        }
        self.take_everything(record);
        self.take_events(events);
        Ok(())
    }
}
