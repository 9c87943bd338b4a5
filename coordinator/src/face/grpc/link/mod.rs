//! The calls of outposts: a session for control, a stream for logs, one for each open terminal.

mod call;
mod logs;
mod service;
mod session;
mod terminal;
