//! The way to the coordinator: control, logs and terminals, each on its own connection.

mod backoff;
mod connection;
mod dead_letter;
mod identity;
mod logs;
mod refusal;
mod session;
mod terminal;
pub(crate) mod token;

pub(crate) use identity::{Identity, IdentityError};
pub(crate) use logs::run as ship_logs;
pub(crate) use session::run as hold_session;
