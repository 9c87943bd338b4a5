//! The real agent, with a real tmux and a real git, against a small coordinator.

mod faults;
mod logs;
mod sandbox;
mod session;
mod speed;
mod support;
mod work;
