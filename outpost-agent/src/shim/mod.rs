//! The shim, `outpost-agent exec DIR`: the command of a worker's pane.
//!
//! It runs the steps, ends whatever they leave behind, keeps what they print, and
//! records how they ended, whether or not an agent is there to see it. It has no
//! threads and no async runtime: one is started for each worker, and must start at once.

mod arguments;
mod backlog;
pub(crate) mod channel;
mod command;
mod keep;
mod keeper;
mod log;
pub(crate) mod plan;
pub(crate) mod processes;
mod reports;
mod run;
mod signals;
mod step;
mod terminal;
mod waiting;
mod warm;
mod within;
mod zygote;

pub(crate) use run::run;
pub(crate) use warm::run as warm;
pub(crate) use within::run as within;
