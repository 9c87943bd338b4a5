//! What a text is laid out for.

use sprint_core::time::Timestamp;

/// What a text is laid out for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// The terminal's columns; none when there is no terminal, and nothing is cut then.
    pub(crate) width: Option<u16>,
    pub(crate) colour: bool,
    pub(crate) now: Timestamp,
}
