//! The real agent, with a real tmux and a real git, against a small coordinator.

mod support;
mod work;
