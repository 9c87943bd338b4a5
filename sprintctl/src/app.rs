//! The state that all commands share.

use sprint_core::ids::ContextName;

use crate::client::Client;
use crate::output::Output;

/// Everything that a command needs to do its work.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) output: Output,
    pub(crate) address: String,
    pub(crate) context: Option<ContextName>,
}
