//! How answers look: text for people, and the shapes that scripts read where they differ from the domain's.

pub(crate) mod act;
pub(crate) mod audit;
pub(crate) mod caller;
pub(crate) mod change;
pub(crate) mod context;
pub(crate) mod event;
pub(crate) mod gate;
pub(crate) mod item;
pub(crate) mod landing;
mod layout;
pub(crate) mod outpost;
pub(crate) mod reason;
pub(crate) mod repo;
pub(crate) mod runtime;
pub(crate) mod secret;
pub(crate) mod status;
mod table;
mod text;
pub(crate) mod token;
pub(crate) mod usage;
pub(crate) mod worker;

pub(crate) use layout::Layout;
pub(crate) use table::{Cell, Column, table};
pub(crate) use text::{ago, commas, fields, gist, lines, many_lines, one_line, section, short_duration, until};
