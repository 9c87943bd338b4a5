//! The record: the only place with SQL.
//!
//! All changes go through one writer (`writer.rs`), which commits many waiting
//! transactions with one fsync; reads use connections of their own.

mod check;
mod db;
mod entity;
mod error;
mod everything;
mod handle;
mod live;
mod notice;
mod read;
mod restore;
mod tx;
mod writer;

pub use check::EventCounts;
pub use db::Value;
pub use entity::{Entity, Key, Numbered, Slots, Stored};
pub use error::StoreError;
pub use everything::Everything;
pub use handle::{Location, Store};
pub use live::{InQueue, Live, RepoQueue};
pub use notice::{Notice, Notices};
pub use read::{EventFilter, Page};
pub use tx::Tx;
