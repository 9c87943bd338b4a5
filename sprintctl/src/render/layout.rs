//! The layout of texts for people.

use sprint_core::time::Timestamp;

/// The layout of a text: its width, its colours, and the time that ages refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// The terminal's columns; none when there is no terminal, and nothing is cut then.
    pub(crate) width: Option<u16>,
    pub(crate) colour: bool,
    pub(crate) now: Timestamp,
}
