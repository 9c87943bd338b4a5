//! The state that all commands share.

use crate::client::Client;
use crate::output::Output;
use crate::target::Target;

/// Everything that a command needs to do its work.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) output: Output,
    pub(crate) target: Target,
}
