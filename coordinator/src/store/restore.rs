//! A record from somewhere else, put into an empty database.

use sprint_core::check::Record;
use sprint_core::event::Event;
use sprint_core::ids::Attempt;
use sprint_core::item::Stage;
use sprint_core::token::Token;

use super::entity::Entity;
use super::{StoreError, Tx};

/// How far numbers leap over those that may have been given after the backup: an outpost may still have
/// workers of those numbers, which must not be taken for others.
const LEAP: u64 = 100_000;

/// The same for the attempts of an item that is not over.
const ATTEMPTS: u32 = 1_000;

impl Tx {
    /// All tokens, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or holds something unreadable.
    pub async fn all_tokens(&mut self) -> Result<Vec<Token>, StoreError> {
        let mut tokens: Vec<Token> = self.search("select body from tokens", vec![]).await?;
        tokens.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(tokens)
    }

    /// Puts a whole record into an empty database.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] when there is anything in it.
    pub async fn restore(&mut self, record: Record, tokens: Vec<Token>, events: Vec<Event>) -> Result<(), StoreError> {
        let here = self.everything().await?;
        let is_empty = here.events == 0 && here.repos.is_empty() && self.all_tokens().await?.is_empty();
        if !is_empty {
            return Err(StoreError::NotEmpty);
        }
        let Record { repos, items, workers, changes, trials, outposts, events: _, last_event: _, landings: _ } = record;
        self.take_all(repos);
        self.take_all(items.into_iter().map(|mut item| {
            let waits = matches!(item.stage, Stage::Ready | Stage::Blocked { .. });
            if waits && item.attempt != Attempt::default() {
                item.attempt = Attempt::new(item.attempt.get().saturating_add(ATTEMPTS));
            }
            item
        }));
        let last = workers.iter().map(|worker| worker.id.get()).max().unwrap_or(0);
        self.set_floor("workers", last + LEAP);
        let last = changes.iter().map(|change| change.id.get()).max().unwrap_or(0);
        self.set_floor("changes", last + LEAP);
        self.take_all(workers);
        let last = trials.iter().map(|trial| trial.id.get()).max().unwrap_or(0);
        self.set_floor("trials", last + LEAP);
        self.take_all(changes);
        self.take_all(trials);
        self.take_all(outposts);
        self.take_all(tokens);
        self.take_events(events);
        Ok(())
    }

    fn take_all<E: Entity>(&mut self, entities: impl IntoIterator<Item = E>) {
        for entity in entities {
            self.take(entity);
        }
    }
}
