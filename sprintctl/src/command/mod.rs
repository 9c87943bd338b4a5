//! The commands: what people can ask for, and how it is done.

pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod change;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod event;
pub(crate) mod gate;
pub(crate) mod item;
mod item_file;
pub(crate) mod land;
pub(crate) mod login;
pub(crate) mod outpost;
pub(crate) mod repo;
pub(crate) mod status;
mod tail;
pub(crate) mod token;
pub(crate) mod wait;
pub(crate) mod worker;
