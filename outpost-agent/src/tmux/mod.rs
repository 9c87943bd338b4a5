//! The private tmux server of an outpost.

mod control;
mod error;
mod parse;
mod server;

pub(crate) use error::{DUPLICATE, TmuxError};
pub(crate) use server::{NewSession, Presence, Sessions, Tmux};
