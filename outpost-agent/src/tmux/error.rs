//! Why tmux did not do what it was asked.

use thiserror::Error;

/// What tmux says when there is a session of that name.
pub(crate) const DUPLICATE: &str = "duplicate session";

/// Why tmux did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum TmuxError {
    #[error("{0}")]
    Refused(String),
    /// The command may or may not have been carried out.
    #[error("the connection to tmux was lost")]
    Disconnected,
}
