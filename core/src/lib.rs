//! The decisions of Sprint: pure, synchronous, without I/O, clock or randomness.
//!
//! Every state machine is one total function over state × event; `now` and
//! identifiers are arguments. What must happen outside is returned as data.

pub mod access;
pub mod act;
pub mod address;
pub mod agent;
pub mod assignment;
pub mod attempt_ref;
pub mod bounds;
pub mod change;
pub mod check;
pub mod clock;
pub mod committing;
pub mod config;
pub mod conflict;
pub mod event;
pub mod explain;
#[cfg(any(test, feature = "testing"))]
pub mod fixtures;
pub mod footprint;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod gate_run;
pub mod gates;
pub mod git_settings;
pub mod gitmodules;
pub mod hand_off;
pub mod ids;
pub mod inner_path;
pub mod item;
mod item_event;
pub mod job;
pub mod landing;
pub mod lfs;
pub mod merge_queue;
pub mod needs;
pub mod note;
pub mod outpost;
pub mod pipeline;
pub mod price;
pub mod prompt;
pub mod protection;
pub mod recipe;
pub mod refusal;
mod refused;
pub mod repo;
pub mod request;
pub mod retention;
pub mod runtime;
pub mod schedule;
pub mod secret;
pub mod slots;
pub mod stage;
pub mod status;
pub mod text;
pub mod time;
pub mod token;
pub mod tree_rules;
pub mod trial;
pub mod upcast;
pub mod view;
pub mod visible;
pub mod weakening;
pub mod worker;

pub use refused::Refused;
