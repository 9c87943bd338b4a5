//! The record: the only place with SQL.
//!
//! All changes go through one writer (`writer.rs`), which commits many waiting
//! transactions with one fsync; reads use connections of their own.

mod check;
mod db;
mod directory;
mod entity;
mod error;
mod handle;
mod notice;
mod read;
mod restore;
mod tx;
mod writer;

pub use directory::Directory;
pub use error::StoreError;
pub use handle::{Location, Store};
pub use notice::{Notice, Notices};
pub use read::{ChangeFilter, EventFilter, InQueue, ItemFilter, WorkerFilter};
pub use tx::Tx;
