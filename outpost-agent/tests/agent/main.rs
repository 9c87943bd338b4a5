//! The real agent, with a real tmux and a real git, against a small coordinator.

mod channels;
mod clone;
mod ctl;
mod faults;
mod gates;
mod left;
mod logs;
mod recipe;
mod resume;
mod sandbox;
mod session;
mod snapshots;
mod speed;
mod support;
mod terminal;
mod warm_sessions;
mod work;
