//! The coordinator and the outpost that `sprintctl up` starts on this host: where they are, and what keeps them running.

pub(crate) mod keeper;
pub(crate) mod place;
mod process;
pub(crate) mod program;
mod systemd;
